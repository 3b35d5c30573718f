/** Where a command runs: in the running server, over its socket, or here, on the database that no server has open. */
import { request } from 'node:http';
import { connect } from 'node:net';
import type { CommandInput, CommandName, CommandResult } from '../server/api/commands.ts';
import { adminSocketPath } from '../server/api/admin-socket.ts';
import type { Config } from '../server/config.ts';
import { AppError, type FieldProblem } from '../server/errors.ts';

/** Neither the server nor the database can be used; `message` says what to do. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
}

/** Runs administrative commands; disposing it closes what was opened for them. */
export interface Admin extends AsyncDisposable {
  /**
   * @throws {AppError} what the command refused
   * @throws {Unreachable} when the server went away
   */
  run<Name extends CommandName>(name: Name, input: CommandInput<Name>): Promise<CommandResult<Name>>;
}

/** A hash of a password may have to wait for its turn. */
const TIMEOUT_MS = 30_000;

/** Nobody listens there: no file, a file of a dead process, or a path that no socket can have. */
const nobody = new Set(['ENOENT', 'ECONNREFUSED', 'ENAMETOOLONG', 'EINVAL', 'ENOTDIR']);

/**
 * Prefers the running server and falls back to the database.
 *
 * @param note told when there is no server, so that nobody takes a new, empty database for the server's
 * @throws {Unreachable} when neither can be used
 */
export async function openAdmin(config: Config, note: (text: string) => void): Promise<Admin> {
  return (await isServerThere(config)) ? overSocket(config) : onDatabase(config, note);
}

/** @throws {Unreachable} when no server runs on the data folder */
export async function connectServer(config: Config): Promise<Admin> {
  if (await isServerThere(config)) return overSocket(config);
  throw new Unreachable(
    `No server answers on ${adminSocketPath(config.dataDir)}. Start it with "npm start", or set DATA_DIR to the folder it uses.`,
  );
}

function isServerThere(config: Config): Promise<boolean> {
  const path = adminSocketPath(config.dataDir);
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (nobody.has(error.code ?? '')) resolve(false);
      else reject(explainSocket(path, error));
    });
  });
}

function explainSocket(path: string, error: NodeJS.ErrnoException): Unreachable {
  const what =
    error.code === 'EACCES'
      ? 'belongs to another user. Run this as the user of the server.'
      : `cannot be used: ${error.message}.`;
  return new Unreachable(`The admin socket ${path} ${what}`, { cause: error });
}

function overSocket(config: Config): Admin {
  const path = adminSocketPath(config.dataDir);
  return {
    run: async (name, input) => (await post(path, `/commands/${name}`, input)) as never,
    async [Symbol.asyncDispose]() {},
  };
}

/** The `fetch` of Node cannot speak to unix sockets. */
function post(socketPath: string, path: string, input: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const call = request({
      socketPath,
      path,
      method: 'POST',
      agent: false,
      headers: { 'Content-Type': 'application/json' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    call.once('error', (error) => reject(explainSocket(socketPath, error)));
    call.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', (error) => reject(explainSocket(socketPath, error)));
      response.once('end', () => {
        const answer = JSON.parse(Buffer.concat(chunks).toString()) as unknown;
        if (response.statusCode === 200) resolve(answer);
        else reject(refusal(answer as Problem));
      });
    });
    call.end(JSON.stringify(input));
  });
}

interface Problem {
  code: string;
  title: string;
  status: number;
  fields?: FieldProblem[];
}

function refusal({ code, title, status, fields = [] }: Problem): AppError {
  return new AppError(code, status, title, { fields });
}

/** Loaded only here: over the socket a command answers in a fraction of the time that the server's modules take to load. */
async function onDatabase(config: Config, note: (text: string) => void): Promise<Admin> {
  const [
    { buildServices },
    { runCommand },
    { DatabaseError, openDatabase },
    { loadKeyFile },
    { createLogger },
  ] = await Promise.all([
    import('../server/app.ts'),
    import('../server/api/commands.ts'),
    import('../db/connect.ts'),
    import('../server/keys/key-encryption.ts'),
    import('../server/logger.ts'),
  ]);
  const database = await openDatabase(config.database).catch((error: unknown) => {
    throw error instanceof DatabaseError ? explainDatabase(config, error) : error;
  });
  await using open = new AsyncDisposableStack();
  open.use(database);
  note(
    `No server is running; working on ${
      config.database.kind === 'postgres'
        ? 'the PostgreSQL server'
        : `the ${database.created ? 'newly made ' : ''}embedded database in ${config.dataDir}`
    }.`,
  );
  const { services } = await buildServices({
    config,
    db: database.knex,
    // The audit rows are written; the log is the server's.
    logger: createLogger('silent'),
    encryptionKey: config.encryptionKey ?? ((isNew: boolean) => loadKeyFile(config.dataDir, isNew)),
  });
  const held = open.move();
  return {
    run: async (name, input) => (await runCommand(services, name, input)) as never,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

function explainDatabase(config: Config, error: Error): Unreachable {
  if (!/locked|busy/i.test((error.cause as Error | undefined)?.message ?? '')) {
    return new Unreachable(error.message, { cause: error });
  }
  return new Unreachable(
    `Another process uses the embedded database in ${config.dataDir}, but no server answers on ${adminSocketPath(config.dataDir)}. ` +
      'If a server is starting or stopping, try again in a moment; otherwise stop that process.',
    { cause: error },
  );
}
