import test from 'ava';
import { errors } from 'oidc-provider';
import { modelTableOf, type ModelName } from '../../adapters/oidc/model-store.ts';
import { isStoreFailure } from '../../db/store-failure.ts';
import { idHash } from '../../server/keys/hash.ts';
import { newSecret, type SecretKind } from '../../server/keys/identifiers.ts';
import { openTestDatabase } from '../_database.ts';
import { passTime, resetTime } from '../_time.ts';
import { nowSeconds, openStores, type Payload, race, randomText, type TestStores } from './_stores.ts';

/** One line for each model that has a table of its own. */
interface Case {
  kind?: SecretKind;
  /** The engine reads it after expiry too, so that reuse is still seen. */
  readWhenExpired?: true;
  /** The engine spends it once, and says so with this error. */
  spent?: new (
    message: string,
  ) => Error;
}

const cases: Record<ModelName, Case> = {
  AccessToken: { kind: 'accessToken' },
  AuthorizationCode: { kind: 'authorizationCode', readWhenExpired: true, spent: errors.InvalidGrant },
  RefreshToken: { kind: 'refreshToken', readWhenExpired: true, spent: errors.InvalidGrant },
  ClientCredentials: { kind: 'clientCredentials' },
  DeviceCode: { readWhenExpired: true, spent: errors.InvalidGrant },
  Interaction: {},
  PushedAuthorizationRequest: { spent: errors.InvalidRequestUri },
  BackchannelAuthenticationRequest: { readWhenExpired: true, spent: errors.InvalidGrant },
  InitialAccessToken: {},
  RegistrationAccessToken: {},
};
const models = Object.entries(cases) as [ModelName, Case][];

const database = await openTestDatabase();
const { knex: db } = database;
let at: TestStores;

test.before(async () => {
  at = await openStores(db);
});
test.after.always(async () => {
  resetTime();
  await database[Symbol.asyncDispose]();
});

function newValue({ kind }: Case): string {
  return kind ? newSecret(kind) : randomText();
}

function payloadOf(model: ModelName, id: string, over: Partial<Payload> = {}): Payload {
  return {
    kind: model,
    jti: id,
    iat: nowSeconds(),
    exp: nowSeconds() + 60,
    accountId: 'subject-1',
    clientId: 'app_1',
    grantId: 'grn_1',
    sessionUid: `uid-${randomText()}`,
    nonce: `nonce-${randomText()}`,
    redirectUri: `https://canary-${randomText()}.example/cb`,
    claims: { id_token: { [`claim-${randomText()}`]: null } },
    ...(model === 'DeviceCode' ? { userCode: `UC${randomText()}` } : {}),
    ...over,
  } as Payload;
}

async function rowOf(model: ModelName, id: string): Promise<Record<string, unknown>> {
  const { rows } = await db.raw<{ rows: Record<string, unknown>[] }>(
    `select * from ${modelTableOf[model]} where id_hash = ?`,
    [idHash(model, id)],
  );
  return rows[0] ?? {};
}

function bytesOf(value: unknown): Buffer {
  if (Buffer.isBuffer(value)) return value;
  return Buffer.from(value instanceof Uint8Array ? value : JSON.stringify(value ?? null));
}

for (const [model, line] of models) {
  const table = modelTableOf[model];

  test.serial(`${model}: an unknown, damaged, truncated or case-changed value is not found`, async (t) => {
    const adapter = at.factory(model);
    const id = newValue(line);
    t.is(await adapter.find(id), undefined);
    await adapter.upsert(id, payloadOf(model, id), 60);
    t.truthy(await adapter.find(id));
    const damaged = new Set([
      '',
      id.slice(0, -1),
      id.slice(1),
      id.slice(4),
      `${id}A`,
      `${id} `,
      `${id}=`,
      id.toUpperCase(),
      id.toLowerCase(),
      [...id].reverse().join(''),
    ]);
    for (let position = 0; position < id.length; position += 1) {
      const code = id.charCodeAt(position);
      for (const bit of [1, 2, 32])
        damaged.add(id.slice(0, position) + String.fromCharCode(code ^ bit) + id.slice(position + 1));
    }
    damaged.delete(id);
    for (const value of damaged) t.is(await adapter.find(value), undefined, JSON.stringify(value));
  });

  test.serial(
    `${model}: a NUL character in a value is an unknown value, not a failure of the database`,
    async (t) => {
      const adapter = at.factory(model);
      for (const value of ['\0', 'a\0b', `${newValue(line)}\0`]) {
        t.is(await adapter.find(value), undefined);
        t.is(await adapter.findByUserCode(value), undefined);
        await adapter.destroy(value);
        const { lost } = await race(1, () => adapter.consume(value));
        t.true(lost[0] instanceof errors.OIDCProviderError, String(lost[0]));
      }
    },
  );

  test.serial(
    `${model}: what is stored is found, and no column shows its value or its payload`,
    async (t) => {
      const adapter = at.factory(model);
      const id = newValue(line);
      const payload = payloadOf(model, id);
      await adapter.upsert(id, payload, 60);
      t.deepEqual(await adapter.find(id), payload);
      if (payload.userCode) t.deepEqual(await adapter.findByUserCode(payload.userCode), payload);

      const row = await rowOf(model, id);
      t.true(Object.keys(row).length > 5);
      const secrets = [
        id,
        id.slice(4, 24),
        String(payload.nonce),
        String(payload.redirectUri),
        String(payload.sessionUid),
        Object.keys((payload.claims as { id_token: object }).id_token)[0] ?? '',
        ...(payload.userCode ? [payload.userCode] : []),
      ];
      for (const [column, value] of Object.entries(row)) {
        for (const secret of secrets) {
          t.false(bytesOf(value).includes(secret), `${table}.${column} shows ${secret}`);
          t.false(
            bytesOf(value).includes(Buffer.from(secret, 'base64url').subarray(0, 12)),
            `${table}.${column}`,
          );
        }
      }
    },
  );

  test.serial(
    `${model}: a sealed payload that was moved to another row, or changed, does not open`,
    async (t) => {
      const adapter = at.factory(model);
      const [mine, other] = [newValue(line), newValue(line)];
      await adapter.upsert(mine, payloadOf(model, mine), 60);
      await adapter.upsert(other, payloadOf(model, other), 60);
      const { payload } = await rowOf(model, mine);
      await db.raw(`update ${table} set payload = ? where id_hash = ?`, [
        payload as Buffer,
        idHash(model, other),
      ]);
      const moved = await t.throwsAsync(async () => adapter.find(other));
      t.false(isStoreFailure(moved));
      const changed = Buffer.from(payload as Buffer);
      changed.writeUInt8(changed.readUInt8(changed.length - 1) ^ 1, changed.length - 1);
      await db.raw(`update ${table} set payload = ? where id_hash = ?`, [changed, idHash(model, mine)]);
      await t.throwsAsync(async () => adapter.find(mine));
    },
  );

  test.serial(
    `${model}: it is over when the database's clock says so, whatever its payload claims`,
    async (t) => {
      const adapter = at.factory(model);
      const [short, long] = [newValue(line), newValue(line)];
      // Each payload claims the opposite of its row.
      await adapter.upsert(short, payloadOf(model, short, { exp: nowSeconds() + 7200 }), 60);
      await adapter.upsert(long, payloadOf(model, long, { exp: nowSeconds() + 1 }), 7200);
      await passTime(db, 58);
      t.truthy(await adapter.find(short));
      await passTime(db, 3);
      const over = await adapter.find(short);
      if (line.readWhenExpired) t.true(Number(over?.exp) < nowSeconds() - 600);
      else t.is(over, undefined);
      t.truthy(await adapter.find(long));
      if (line.spent) {
        await t.throwsAsync(async () => adapter.consume(short), { instanceOf: line.spent });
        await t.notThrowsAsync(async () => adapter.consume(long));
      }
    },
  );

  test.serial(`${model}: another model does not find its values`, async (t) => {
    const id = newValue(line);
    await at.factory(model).upsert(id, payloadOf(model, id), 60);
    for (const [other] of models) {
      if (other !== model) t.is(await at.factory(other).find(id), undefined, other);
    }
  });

  const { spent } = line;
  if (!spent) continue;

  test.serial(`${model}: of 50 attempts at once, one spends it`, async (t) => {
    const adapter = at.factory(model);
    const id = newValue(line);
    await adapter.upsert(id, payloadOf(model, id), 60);
    const { won, lost } = await race(50, async () => adapter.consume(id));
    t.is(won.length, 1);
    t.is(lost.length, 49);
    for (const error of lost) t.true(error instanceof spent, String(error));
  });

  test.serial(`${model}: saving it again after it was spent does not make it usable`, async (t) => {
    const adapter = at.factory(model);
    const id = newValue(line);
    const payload = payloadOf(model, id);
    await adapter.upsert(id, payload, 60);
    t.is((await adapter.find(id))?.consumed, undefined);
    await adapter.consume(id);
    t.truthy((await adapter.find(id))?.consumed);
    await adapter.upsert(id, payload, 60);
    t.truthy((await adapter.find(id))?.consumed);
    await t.throwsAsync(async () => adapter.consume(id), { instanceOf: spent });
  });
}

test.serial(
  'Session, Grant and Client: a NUL character in an id is an unknown id, not a failure of the database',
  async (t) => {
    for (const model of ['Session', 'Grant', 'Client']) {
      const adapter = at.factory(model);
      for (const id of ['\0', 'grn_a\0b', 'app_\0']) {
        t.is(await adapter.find(id), undefined, model);
        t.is(await adapter.findByUid(id), undefined, model);
        if (model !== 'Client') await t.notThrowsAsync(async () => adapter.destroy(id), model);
      }
    }
    t.is(await at.stores.client.factsOf('app_\0'), undefined);
    t.false(await at.stores.client.isSecret('app_\0', newSecret('clientSecret')));
  },
);

test.serial('a model without a table is refused', async (t) => {
  t.throws(() => at.factory('Unheard'), { message: /Unheard/ });
  await t.throwsAsync(async () => at.factory('ReplayDetection').find('a'), { message: /not stored/ });
});

test.serial(
  'a finished interaction is not found again, and the host still learns that it was finished',
  async (t) => {
    const adapter = at.factory('Interaction');
    const id = randomText();
    await adapter.upsert(id, payloadOf('Interaction', id), 60);
    t.is((await at.stores.interaction.findAny(id))?.state, 'live');
    await adapter.destroy(id);
    t.is(await adapter.find(id), undefined);
    t.is((await at.stores.interaction.findAny(id))?.state, 'finished');
    const late = randomText();
    await adapter.upsert(late, payloadOf('Interaction', late), 60);
    await passTime(db, 61);
    t.is((await at.stores.interaction.findAny(late))?.state, 'expired');
  },
);

test.serial('two device codes never share a user code', async (t) => {
  const adapter = at.factory('DeviceCode');
  const [first, second] = [randomText(), randomText()];
  const payload = payloadOf('DeviceCode', first);
  await adapter.upsert(first, payload, 60);
  await t.throwsAsync(async () =>
    adapter.upsert(second, payloadOf('DeviceCode', second, { userCode: payload.userCode! }), 60),
  );
  t.is((await adapter.findByUserCode(payload.userCode!))?.jti, first);
});

test.serial('a one-time id is accepted once of 50 at once, and again only after it expired', async (t) => {
  const Detection = at.provider.ReplayDetection as unknown as {
    unique(iss: string, jti: string, exp: number): Promise<boolean>;
  };
  const jti = randomText();
  const attempts = async () => {
    const { won } = await race(50, () => Detection.unique('app_1', jti, nowSeconds() + 60));
    t.is(won.length, 50);
    return won.filter(Boolean).length;
  };
  t.is(await attempts(), 1);
  t.is(await attempts(), 0);
  await passTime(db, 62);
  t.is(await attempts(), 1);
  t.true(await Detection.unique('app_2', jti, nowSeconds() + 60), 'another issuer');
  t.true(
    await Detection.unique('app_', `1${jti}`, nowSeconds() + 60),
    'issuer and id do not run into each other',
  );
});
