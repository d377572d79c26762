// An OpenID provider that is not ours (npm's `oidc-provider`, certified): node provider.mjs PORT REDIRECT_URI
// Whoever logs in is himself; his groups are what stands behind a dot: `anna.soc-leads`.
import { createRequire } from 'node:module';

const { default: Provider } = await import(createRequire(`${process.env.NODE_PATH}/`).resolve('oidc-provider'));
const [port, redirect] = process.argv.slice(2);
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: 'querywarden', client_secret: 'a secret: of ours', redirect_uris: [redirect] }],
  claims: { openid: ['sub'], profile: ['preferred_username', 'groups'] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id.split('.')[0], groups: id.split('.').slice(1) }),
  }),
  pkce: { required: () => true },
  cookies: { keys: ['of a test'] },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
