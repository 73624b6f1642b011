// The report of a survey, a flight or footage as a PDF, in the language of the page.
import { settings } from '../settings';
import { t } from '../words';

// Countries that print on Letter.
const letter = /-(US|CA|MX|CO|VE|CL|CR|GT|PA|PH|PR|SV|DO|NI)$/;

/** Pages is the button for the report of what is at an address of the API. */
export function Pages({ base }: { base: string }) {
  const paper = letter.test(navigator.language) ? 'letter' : 'a4';
  return <a class="button primary" data-report="" href={`${base}/report.pdf?lang=${settings.language}&paper=${paper}`} target="_blank" rel="noopener">{t('rp_pdf')}</a>;
}
