/**
 * `npm run bench -- m2m|login [--seconds 4] [--rounds 3]`
 *
 * Owns: load scenarios, the servers that they are compared with, and recorded results. Refuses: absolute promises. Numbers of one machine
 * mean little; the ratios of one run, taken turn by turn on the same core, are the result.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cookieHeader, follow } from './journey.ts';
import { get, post, run, type Sample } from './load.ts';
import { describeDurability, startPostgres } from './postgres.ts';
import { callback, resource, stockSecret } from './servers/settings.ts';

const SERVER_CORE = 0;
const LOAD_CORE = 1;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '16' },
  },
});
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);
const connections = Number(values.connections);

interface Target {
  name: 'gatehouse' | 'stock' | 'floor';
  port: number;
  process: ChildProcess;
  secrets: { machine: string; website: string };
  person?: { identifier: string; password: string };
}

type Scenario = (target: Target) => Promise<Sample>;

/** The stock server's in-memory store keeps 1000 things of all kinds: more codes at once would push each other out. */
const CODES_IN_A_BATCH = 200;
const BATCHES = 8;
/** Rounds that do not count: the compiler of the runtime needs seconds under load to get to its final code. */
const WARM_UP_ROUNDS = 2;

const basic = (id: string, secret: string) => ({
  Authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
});
const verifier = 'a'.repeat(43);
const challenge = 'ZtNPunH49FD35FWYhT5Tv8I7vRKQJ8uxMaL0_9eHjNA';

const repeat = (target: Target, request: string, status = 200) =>
  run({ port: target.port, connections, seconds, status, next: () => request });

async function ask(
  target: Target,
  path: string,
  form: Record<string, string>,
  client: 'machine' | 'website',
) {
  const response = await fetch(`http://localhost:${target.port}${path}`, {
    method: 'POST',
    headers: basic(client, target.secrets[client]),
    body: new URLSearchParams(form),
  });
  if (!response.ok) throw new Error(`${target.name} ${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Record<string, string>;
}

const machineForm = (api: string) => ({
  grant_type: 'client_credentials',
  resource: api,
  scope: 'bench:read',
});

async function tokensOf(target: Target) {
  const browser = { cookies: new Map<string, string>() };
  const answer = await follow(browser, authorizeUrl(target), callback, target.person);
  return { browser, tokens: await redeem(target, String(answer.get('code'))) };
}

function authorizeUrl({ port }: Target): string {
  return `http://localhost:${port}/auth?${new URLSearchParams({
    client_id: 'website',
    response_type: 'code',
    scope: 'openid',
    redirect_uri: callback,
    code_challenge: challenge,
    code_challenge_method: 'S256',
  })}`;
}

const codeForm = (code: string) => ({
  grant_type: 'authorization_code',
  code,
  redirect_uri: callback,
  code_verifier: verifier,
});
const redeem = (target: Target, code: string) => ask(target, '/token', codeForm(code), 'website');

const scenarios: Record<string, Record<string, { least: number; run: Scenario; floor?: string }>> = {
  m2m: {
    'client credentials, JWT (ES256)': {
      least: 1,
      floor: '/jwt',
      run: (target) =>
        repeat(
          target,
          post('/token', target.port, machineForm(resource.jwt), basic('machine', target.secrets.machine)),
        ),
    },
    'client credentials, opaque': {
      least: 0.7,
      floor: '/opaque',
      run: (target) =>
        repeat(
          target,
          post('/token', target.port, machineForm(resource.opaque), basic('machine', target.secrets.machine)),
        ),
    },
    introspection: {
      least: 0.7,
      run: async (target) => {
        const { access_token = '' } = await ask(target, '/token', machineForm(resource.opaque), 'machine');
        const form = { token: access_token, token_type_hint: 'access_token' };
        return repeat(
          target,
          post('/token/introspection', target.port, form, basic('machine', target.secrets.machine)),
        );
      },
    },
  },
  login: {
    'code exchange': {
      least: 0.6,
      run: async (target) => {
        const { browser } = await tokensOf(target);
        const batches: Sample[] = [];
        for (let batch = 0; batch < BATCHES; batch += 1) {
          const codes = await collectCodes(target, cookieHeader(browser));
          batches.push(
            await run({
              port: target.port,
              connections,
              seconds: 60,
              status: 200,
              next: () => {
                const code = codes.pop();
                return (
                  code &&
                  post('/token', target.port, codeForm(code), basic('website', target.secrets.website))
                );
              },
            }),
          );
        }
        return combine(batches);
      },
    },
    refresh: {
      least: 0.6,
      run: async (target) => {
        const { tokens } = await tokensOf(target);
        const form = { grant_type: 'refresh_token', refresh_token: tokens['refresh_token'] ?? '' };
        return repeat(target, post('/token', target.port, form, basic('website', target.secrets.website)));
      },
    },
    userinfo: {
      least: 0.7,
      run: async (target) => {
        const { tokens } = await tokensOf(target);
        return repeat(target, get('/me', target.port, { Authorization: `Bearer ${tokens['access_token']}` }));
      },
    },
  },
};

/** Batches of equal size as one sample. */
function combine(batches: readonly Sample[]): Sample {
  const mean = (pick: (sample: Sample) => number) =>
    batches.reduce((sum, sample) => sum + pick(sample), 0) / batches.length;
  return {
    requestsPerSecond: 1 / mean(({ requestsPerSecond }) => 1 / requestsPerSecond),
    p50Ms: mean(({ p50Ms }) => p50Ms),
    p99Ms: mean(({ p99Ms }) => p99Ms),
    failures: batches.reduce((sum, { failures }) => sum + failures, 0),
    bodies: batches.flatMap(({ bodies }) => bodies),
  };
}

/** Codes for one round: they live a minute, so they are made right before. */
async function collectCodes(target: Target, cookie: string): Promise<string[]> {
  const codes: string[] = [];
  const url = new URL(authorizeUrl(target));
  const request = get(url.pathname + url.search, target.port, { Cookie: cookie });
  let left = CODES_IN_A_BATCH;
  const { createExchange } = await import('./load.ts');
  const { connect } = await import('node:net');
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      const socket = connect(target.port, '127.0.0.1');
      const exchange = createExchange(socket);
      while (left-- > 0) {
        const { headers } = await exchange(request);
        const code = /^location: \S*[?&]code=([^&\s]+)/im.exec(headers)?.[1];
        if (!code) throw new Error(`${target.name} gave no code: ${headers}`);
        codes.push(code);
      }
      socket.destroy();
    }),
  );
  return codes;
}

async function start(name: Target['name'], port: number, ...args: string[]): Promise<Target> {
  const child = spawn(
    'taskset',
    [
      '-c',
      String(SERVER_CORE),
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      join(import.meta.dirname, 'servers', `${name}.ts`),
      String(port),
      ...args,
    ],
    {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...process.env, NODE_ENV: 'production', MODE: 'development' },
    },
  );
  const ready = await new Promise<Partial<Target>>((resolve, reject) => {
    child.once('message', (message) => resolve(message as Partial<Target>));
    child.once('exit', (code) => reject(new Error(`${name} ended with ${code}`)));
  });
  return { name, port, process: child, secrets: { machine: stockSecret, website: stockSecret }, ...ready };
}

async function main(): Promise<void> {
  const group = scenarios[positionals[0] ?? ''];
  if (!group) throw new Error(`say which: npm run bench -- ${Object.keys(scenarios).join('|')}`);
  spawn('taskset', ['-cp', String(LOAD_CORE), String(process.pid)], { stdio: 'ignore' });
  await using database = await startPostgres(LOAD_CORE);
  await using servers = new AsyncDisposableStack();
  const targets = [
    await start('gatehouse', 4101, database.url),
    await start('stock', 4102),
    await start('floor', 4103, database.url),
  ];
  console.log(
    `alg ES256, ${await describeDurability(database.url)}, ${connections} connections, server on one core`,
  );
  const [gatehouse, stock, floor] = targets as [Target, Target, Target];
  servers.defer(() => {
    for (const target of targets) target.process.kill('SIGKILL');
  });
  for (const [title, scenario] of Object.entries(group)) {
    const medians = await compare(scenario, gatehouse, stock, floor);
    const ratio = medians.gatehouse.requestsPerSecond / medians.stock.requestsPerSecond;
    console.log(
      `${title.padEnd(34)} ${describe('gatehouse', medians.gatehouse)}  ${describe('stock', medians.stock)}` +
        `${medians.floor ? `  ${describe('floor', medians.floor)}` : ''}  ratio to stock ${ratio.toFixed(2)} (at least ${scenario.least})`,
    );
  }
  await proveDurability(gatehouse, database.url);
}

/** Turn by turn, so that whatever else the machine does hits all alike; the median round counts. */
async function compare(
  scenario: { run: Scenario; floor?: string },
  gatehouse: Target,
  stock: Target,
  floor: Target,
) {
  const samples = { gatehouse: [] as Sample[], stock: [] as Sample[], floor: [] as Sample[] };
  for (let round = -WARM_UP_ROUNDS; round < rounds; round += 1) {
    const turn = {
      gatehouse: await scenario.run(gatehouse),
      stock: await scenario.run(stock),
      floor: scenario.floor ? await repeat(floor, post(scenario.floor, floor.port, {})) : undefined,
    };
    if (round < 0) continue;
    for (const [name, sample] of Object.entries(turn)) {
      if (!sample) continue;
      if (sample.failures > 0)
        throw new Error(`${name}: ${sample.failures} failures: ${sample.bodies.at(-1)}`);
      samples[name as keyof typeof samples].push(sample);
    }
  }
  const median = (list: Sample[]) =>
    list.sort((a, b) => a.requestsPerSecond - b.requestsPerSecond)[Math.floor(list.length / 2)];
  return {
    gatehouse: median(samples.gatehouse) as Sample,
    stock: median(samples.stock) as Sample,
    floor: median(samples.floor),
  };
}

function describe(name: string, { requestsPerSecond, p50Ms, p99Ms }: Sample): string {
  return `${name} ${requestsPerSecond.toFixed(0)}/s p50 ${p50Ms.toFixed(1)} p99 ${p99Ms.toFixed(1)} ms`;
}

/** A number that forgets is no number: tokens that were answered must live after kill -9. */
async function proveDurability(gatehouse: Target, databaseUrl: string): Promise<void> {
  const tokens = await Promise.all(
    Array.from(
      { length: 20 },
      async () => (await ask(gatehouse, '/token', machineForm(resource.opaque), 'machine'))['access_token'],
    ),
  );
  gatehouse.process.kill('SIGKILL');
  await new Promise((resolve) => gatehouse.process.once('exit', resolve));
  const again = await start('gatehouse', gatehouse.port, databaseUrl);
  again.secrets = gatehouse.secrets;
  gatehouse.process = again.process;
  let alive = 0;
  for (const token of tokens) {
    const { active } = await ask(again, '/token/introspection', { token: String(token) }, 'machine');
    if (String(active) === 'true') alive += 1;
  }
  console.log(`after kill -9: ${alive} of ${tokens.length} sampled tokens alive`);
}

await main();
