// The page: one view at a time, chosen by the address.
import { render } from 'preact';
import { takeTokenFromAddress } from './api';
import { App, isShared } from './app';
import { start } from './live';
import { reading } from './opening';
import { followLinks } from './router';
import { ask } from './parts/ask';
import { loadSession, openIDFault, sessionRead, takeCodeFromAddress, takeFaultFromAddress, takeInvitationFromAddress, waitingInvitation } from './session';
import { apply } from './settings';

takeTokenFromAddress();
addEventListener('hashchange', takeTokenFromAddress);
apply();
followLinks();
if (!isShared()) {
  takeFaultFromAddress();
  takeInvitationFromAddress();
  await takeCodeFromAddress();
  void reading(loadSession()); // the views read their figures meanwhile
}
render(<App />, document.getElementById('app')!);
if (!isShared()) start();
if (openIDFault() || waitingInvitation()) void sessionRead().then(() => ask());
// After the page is loaded: what it keeps for later does not compete with what is shown now.
const keepPage = () => { navigator.serviceWorker.register('/sw.js').catch(() => { /* works without it */ }); };
if ('serviceWorker' in navigator && isSecureContext) {
  if (document.readyState === 'complete') keepPage(); else addEventListener('load', keepPage, { once: true });
}
