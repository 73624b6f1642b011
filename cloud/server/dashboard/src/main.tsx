// The page: one view at a time, chosen by the address.
import { render } from 'preact';
import { takeTokenFromAddress } from './api';
import { App, isShared } from './app';
import { start } from './live';
import { followLinks } from './router';
import { ask } from './parts/ask';
import { loadSession, openIDFault, takeCodeFromAddress, takeFaultFromAddress, takeInvitationFromAddress, waitingInvitation } from './session';
import { apply } from './settings';

takeTokenFromAddress();
addEventListener('hashchange', takeTokenFromAddress);
apply();
followLinks();
if (!isShared()) {
  takeFaultFromAddress();
  takeInvitationFromAddress();
  await takeCodeFromAddress();
  await loadSession();
}
render(<App />, document.getElementById('app')!);
if (!isShared()) start();
if (openIDFault() || waitingInvitation()) void ask();
if ('serviceWorker' in navigator && isSecureContext) navigator.serviceWorker.register('/sw.js').catch(() => { /* works without it */ });
