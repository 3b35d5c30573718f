/** The first operator: the setup key is spent and the account made in one transaction, then the journey signs in as it. */
import type { Context } from 'koa';
import { type PreparedAccount, prepareAccount } from '../server/accounts/accounts.ts';
import { consumeSetupKey } from '../server/accounts/setup-link.ts';
import { PORTAL_CLIENT_ID } from '../server/clients/portal-client.ts';
import { AppError, type FieldProblem } from '../server/errors.ts';
import type { MessageKey } from '../server/web/i18n/i18n.ts';
import { sendPage } from '../server/web/page.ts';
import {
  actorOf,
  csrfBinding,
  finishStep,
  type Journey,
  type JourneyDeps,
  journeyPage,
  LostJourney,
  readStep,
} from './journey.ts';
import { type SetupProps, setupView } from './setup.view.ts';

type Errors = SetupProps['errors'][number][];

/** Only the built-in client can ask for it: another one must not put this page in front of people. */
export function isSetup(journey: Journey): boolean {
  return journey.params['setup'] !== undefined && journey.params['client_id'] === PORTAL_CLIENT_ID;
}

export function showSetup(deps: JourneyDeps, ctx: Context, journey: Journey): void {
  render(deps, ctx, journey, 200, { values: { name: '', identifier: '' }, key: '', errors: [] });
}

/** POST /interaction/:uid/setup */
export async function submitSetup(deps: JourneyDeps, ctx: Context): Promise<void> {
  const { journey, form } = await readStep(deps, ctx);
  if (!isSetup(journey)) throw new LostJourney(journey.uid);
  const values = { name: form.get('name'), identifier: form.get('identifier') };
  const key = form.get('key').trim();
  const again = (status: number, errors: Errors) =>
    render(deps, ctx, journey, status, { values, key, errors });
  if (!key) return again(422, [{ field: 'key', message: 'setup.error.keyMissing' }]);

  const account = await prepare(deps, { ...values, password: form.get('password') });
  if ('errors' in account) return again(422, account.errors);
  const outcome = await createOperator(deps, ctx, account, key);
  if (outcome === 'key_spent') return again(410, [{ field: 'key', message: 'setup.error.keyWrong' }]);
  if (outcome !== 'created')
    return again(409, [{ field: 'identifier', message: 'setup.error.identifierTaken' }]);
  await finishStep(deps, ctx, { login: { accountId: account.subject, acr: '1', amr: ['pwd'] } });
}

/** One transaction: when the account cannot be made the key is not spent, so a typing mistake does not cost it. */
async function createOperator(
  { db, audit }: JourneyDeps,
  ctx: Context,
  account: PreparedAccount,
  key: string,
): Promise<'created' | 'key_spent' | 'identifier_taken' | 'unknown_role'> {
  const actor = actorOf(ctx, account.id);
  const trx = await db.transaction();
  try {
    const spent = await consumeSetupKey(trx, key);
    const made = spent ? await account.insert(trx, actor) : undefined;
    if (!made?.ok) {
      await trx.rollback();
      return made?.reason ?? 'key_spent';
    }
    await audit.record(trx, { kind: 'operator_created', actor, accountId: account.id });
    await trx.commit();
    return 'created';
  } catch (error) {
    await trx.rollback();
    throw error;
  }
}

async function prepare(
  deps: JourneyDeps,
  input: { name: string; identifier: string; password: string },
): Promise<PreparedAccount | { errors: Errors }> {
  try {
    return await prepareAccount(deps.accounts, { ...input, roles: ['user', 'operator'] });
  } catch (error) {
    if (error instanceof AppError && error.code === 'invalid_input')
      return { errors: error.fields.map(translateProblem) };
    throw error;
  }
}

function translateProblem({ field, code }: FieldProblem): Errors[number] {
  const messages: Record<string, MessageKey> = {
    'name required': 'setup.error.nameMissing',
    'name too_long': 'setup.error.nameTooLong',
    'identifier required': 'setup.error.identifierMissing',
    'password required': 'setup.error.passwordMissing',
    'password too_short': 'setup.error.passwordTooShort',
    'password too_long': 'setup.error.passwordTooLong',
  };
  return {
    field: field as Errors[number]['field'],
    message: messages[`${field} ${code}`] ?? 'setup.error.identifierInvalid',
  };
}

function render(
  deps: JourneyDeps,
  ctx: Context,
  journey: Journey,
  status: number,
  props: Pick<SetupProps, 'values' | 'key' | 'errors'>,
): void {
  const view = setupView(journeyPage(deps, ctx, journey), {
    action: `/interaction/${journey.uid}/setup`,
    csrf: deps.csrf.token(csrfBinding(journey)),
    minimumPasswordLength: deps.config.passwords.minLength,
    ...props,
  });
  sendPage(ctx, view, { status, kind: 'interaction' });
}
