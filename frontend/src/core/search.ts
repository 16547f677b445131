/** "Électro" and "electro" are the same to someone who looks for something. */
export function plain(text: string): string {
  return text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
}
