/** Money is integer cents and weight integer grams, end to end; here they are read from what people type, and shown. */

/** Digits before and after the decimal mark; null when it is not a plain non-negative number. */
function decimal(text: string, unit: string, places: number): [whole: string, fraction: string] | null {
  const plain = text
    .replace(/\s+/g, ' ')
    .trim()
    .replace(new RegExp(`^(?:${unit}) ?| ?(?:${unit})$`, 'i'), '')
    .replace(new RegExp(`^(\\d+) ?(?:${unit}) ?(\\d{${places}})$`, 'i'), '$1.$2') // 3€50
    .replace(/^\d{1,3}(?: \d{3})+(?=[.,]|$)/, (groups) => groups.replaceAll(' ', ''))
    .replace(/^\d{1,3}(?:\.\d{3})+(?=,)|^\d{1,3}(?:,\d{3})+(?=\.)/, (groups) => groups.replace(/[.,]/g, ''));
  const match = /^(\d*)(?:[.,](\d*))?$/.exec(plain);
  if (!match) return null;
  const [, whole = '', fraction = ''] = match;
  return whole === '' && fraction === '' ? null : [whole, fraction];
}

function scaled([whole, fraction]: [string, string], places: number): number | null {
  if (fraction.length > places && /[1-9]/.test(fraction.slice(places))) return null;
  const value = Number(`${whole}${fraction.slice(0, places).padEnd(places, '0')}`);
  return Number.isSafeInteger(value) ? value : null;
}

/**
 * "3", "3,5", "3.50", "3€50", "1 234,50 €" → cents; null when it is not an amount (also for fractions of a cent).
 * "1,000" is a thousand for one reader and one for another: it is refused.
 */
export function parseCents(text: string): number | null {
  const parts = decimal(text, '€|euros?|eur', 2);
  if (!parts || (parts[1].length === 3 && /^[1-9]\d{0,2}$/.test(parts[0]))) return null;
  return scaled(parts, 2);
}

/** "1,25", "0.130 kg", "1kg250" → grams; null when it is not a weight (also for fractions of a gram). */
export function parseGrams(text: string): number | null {
  const parts = decimal(text, 'kg', 3);
  return parts && scaled(parts, 3);
}

const TAGS: Record<string, string> = { fr: 'fr-FR', en: 'en-IE' };

/** 123450 → "1 234,50 €" (French), "€1,234.50" (English). */
export function formatCents(cents: number, locale: string): string {
  return new Intl.NumberFormat(TAGS[locale] ?? locale, { style: 'currency', currency: 'EUR' }).format(
    cents / 100,
  );
}

/** As `formatCents`, with a sign in front of every amount but zero. */
export function formatVariance(cents: number, locale: string): string {
  return new Intl.NumberFormat(TAGS[locale] ?? locale, {
    style: 'currency',
    currency: 'EUR',
    signDisplay: 'exceptZero',
  }).format(cents / 100);
}

/** 1250 → "1,25 kg". */
export function formatGrams(grams: number, locale: string): string {
  const number = new Intl.NumberFormat(TAGS[locale] ?? locale, { maximumFractionDigits: 3 });
  return `${number.format(grams / 1000)}\u00a0kg`;
}

/** Cents as a person would type them into a field: 350 → "3,50" (French), "3.50" (English). */
export function centsForInput(cents: number, locale: string): string {
  const text = `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;
  return locale === 'fr' ? text.replace('.', ',') : text;
}

/** Grams as a person would type kilograms into a field: 1250 → "1,25". */
export function gramsForInput(grams: number, locale: string): string {
  const text = String(grams / 1000);
  return locale === 'fr' ? text.replace('.', ',') : text;
}
