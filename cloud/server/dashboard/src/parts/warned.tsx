// What the server reports in its own words, which are English. In another language its kind comes first, in that language;
// the server's words stay, for they have the names and figures.
import { settings } from '../settings';
import { kindIn } from '../words/kinds';

/** Warned shows a report of a kind. A kind that this page does not know is shown in the server's words alone. */
export function Warned({ kind, text }: { kind: string; text: string }) {
  const means = kindIn(settings.language, kind);
  return means ? <>{means} <span class="meta wrap" lang="en">{text}</span></> : <span lang="en">{text}</span>;
}
