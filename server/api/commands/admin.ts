/** Commands about operating this server. */
import { z } from 'zod';
import { createSetupLink, SETUP_LINK_SECONDS } from '../../accounts/setup-link.ts';
import { conflict } from '../../errors.ts';
import { defineCommand } from './command.ts';

export const createAdminLink = defineCommand({
  name: 'admin.link',
  about: 'make the link by which the first operator joins; the one before stops working',
  input: z.strictObject({}),
  async run({ db, audit, config }) {
    const link = await createSetupLink(db, audit, config.issuer);
    if (link === undefined) {
      throw conflict(
        'operator_exists',
        `This server has an operator already, so there is no setup link. Sign in at ${config.issuer}/account, or let an operator give you the role.`,
      );
    }
    return { link, expiresInSeconds: SETUP_LINK_SECONDS };
  },
});
