/** What every server under test is given. */

export const resource = { jwt: 'https://bench.example/jwt', opaque: 'https://bench.example/opaque' };

export const callback = 'https://bench.example/callback';

/** Secret of the stock server's clients. */
export const stockSecret = 'a-secret-of-the-bench-that-is-long-enough';

/** RFC 7591 metadata of the stock server's clients. */
export const stockClients = [
  {
    client_id: 'machine',
    client_secret: stockSecret,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
  },
  {
    client_id: 'website',
    client_secret: stockSecret,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: [callback],
    id_token_signed_response_alg: 'ES256',
  },
];
