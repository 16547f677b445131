import { describe, expect, it } from 'vitest';
import {
  centsForInput,
  formatCents,
  formatGrams,
  formatVariance,
  gramsForInput,
  parseCents,
  parseGrams,
} from './money';

describe('parseCents', () => {
  it.each([
    ['3', 300],
    ['3,5', 350],
    ['3.50', 350],
    [' 3,05 ', 305],
    ['1 234,50 €', 123_450],
    ['1\u202f234,50\u00a0€', 123_450],
    ['1.234,50', 123_450],
    ['1,234.50', 123_450],
    [',5', 50],
    ['3,', 300],
    ['0', 0],
    ['0,500', 50],
    ['1.234.567,5', 123_456_750],
    ['12 eur', 1200],
    ['3 euros', 300],
    ['3€50', 350],
    ['12 € 05', 1205],
    ['€3.50', 350],
  ])('reads %j as %i cents', (text, cents) => expect(parseCents(text)).toBe(cents));

  it.each(['', ' ', ',', '-3', '3,555', 'abc', '3,5,5', '1e3', '0x10', '٣', '3 %', '99999999999999999999'])(
    'refuses %j',
    (text) => expect(parseCents(text)).toBeNull(),
  );

  it.each(['3 50', '12 5', '1 2 3', '1234 567', '3€5', '3€500', '€'])(
    'makes no larger amount of %j',
    (text) => expect(parseCents(text)).toBeNull(),
  );

  it.each(['1,000', '1.000', '2,500'])('does not guess whether %j is in thousands', (text) =>
    expect(parseCents(text)).toBeNull(),
  );

  it('reads back every amount that it offers for typing', () => {
    for (const locale of ['fr', 'en'])
      for (let cents = 0; cents < 3000; cents += 7)
        expect(parseCents(centsForInput(cents, locale))).toBe(cents);
  });
});

describe('parseGrams', () => {
  it.each([
    ['1,25', 1250],
    ['0.130 kg', 130],
    ['2', 2000],
    ['0,001', 1],
    ['138,83', 138_830],
    ['1,250', 1250],
    ['1kg250', 1250],
  ])('reads %j as %i grams', (text, grams) => expect(parseGrams(text)).toBe(grams));

  it.each(['', '0,0001', 'lourd', '-1', '0kg5', '1 25'])('refuses %j', (text) =>
    expect(parseGrams(text)).toBeNull(),
  );

  it('reads back every weight that it offers for typing', () => {
    for (let grams = 0; grams < 3000; grams += 7) expect(parseGrams(gramsForInput(grams, 'fr'))).toBe(grams);
  });
});

describe('amounts are shown', () => {
  it('in French as a French reader writes them', () => {
    expect(formatCents(123_450, 'fr')).toBe('1\u202f234,50\u00a0€');
    expect(formatVariance(-140, 'fr')).toBe('-1,40\u00a0€');
    expect(formatGrams(1250, 'fr')).toBe('1,25\u00a0kg');
  });

  it('in English with the sign in front', () => {
    expect(formatCents(123_450, 'en')).toBe('€1,234.50');
    expect(formatVariance(140, 'en')).toBe('+€1.40');
    expect(formatVariance(0, 'en')).toBe('€0.00');
    expect(formatGrams(130, 'en')).toBe('0.13\u00a0kg');
  });

  it('exactly, however large', () =>
    expect(formatCents(90_071_992_547_409, 'en')).toBe('€900,719,925,474.09'));
});
