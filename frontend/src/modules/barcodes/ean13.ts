/** Does this read as an EAN-13, check digit included? Blanks and hyphens between the digits do not count. */
export function isEan13(text: string): boolean {
  const code = text.replace(/[\s-]/g, '');
  if (!/^\d{13}$/.test(code)) return false;
  const sum = [...code].reduce((total, digit, index) => total + Number(digit) * (index % 2 === 0 ? 1 : 3), 0);
  return sum % 10 === 0;
}
