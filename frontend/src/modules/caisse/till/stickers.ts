/** Colours of the round price stickers, one for each category of the first level, in turn. */
export const STICKERS = [
  '#e0523f',
  '#f08a1d',
  '#f2be2c',
  '#4d9c55',
  '#23998f',
  '#3e76d8',
  '#8b5bc4',
  '#d8588f',
  '#9a7447',
  '#6d7a8c',
];
