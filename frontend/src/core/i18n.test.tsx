import { act, render, screen } from '@testing-library/react';
import { describe, expect, it } from 'vitest';
import { ApiError } from './api';
import { errorText, missingKeys, setLocale, useFormat, useLocale, useT } from './i18n';
import { en } from './messages/en';
import { fr } from './messages/fr';

const catalogues: Record<string, Record<string, object>> = {
  ...import.meta.glob<Record<string, object>>('../modules/*/messages/{fr,en}.ts', { eager: true }),
  './messages/fr.ts': { fr },
  './messages/en.ts': { en },
};

function leaves(tree: object, path = ''): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === 'string') found.set(path + key, value);
    else for (const [deep, text] of leaves(value as object, `${path}${key}.`)) found.set(deep, text);
  }
  return found;
}

const values = (text: string): string[] =>
  [...text.matchAll(/\{\{(\w+)\}\}/g)].map(([, name]) => name ?? '').sort();

describe('texts', () => {
  const french = Object.keys(catalogues).filter((path) => path.endsWith('fr.ts'));

  it.each(french)('%s says the same in English, with the same values', (path) => {
    const mine = leaves(catalogues[path]?.fr ?? {});
    const theirs = leaves(catalogues[path.replace('fr.ts', 'en.ts')]?.en ?? {});
    expect([...theirs.keys()].sort()).toEqual([...mine.keys()].sort());
    for (const [key, text] of mine) {
      expect(text.trim(), key).not.toBe('');
      expect(values(theirs.get(key) ?? ''), key).toEqual(values(text));
    }
  });
});

function Sample() {
  const t = useT();
  const format = useFormat();
  return (
    <p lang={useLocale()}>
      {t('nav.home')} {format.money(1050)} {format.day('2025-09-17')}
    </p>
  );
}

describe('the language', () => {
  it('switches what is drawn, the page and what is remembered', () => {
    render(<Sample />);
    expect(screen.getByText(/Accueil 10,50\s€ 17 septembre 2025/)).toBeVisible();
    act(() => setLocale('en'));
    expect(screen.getByText('Home €10.50 17 September 2025')).toBeVisible();
    expect(document.documentElement.lang).toBe('en');
    expect(localStorage.getItem('recyclic.locale')).toBe('en');
  });

  it('has no key without a text', () => expect(missingKeys()).toEqual([]));
});

describe('errorText', () => {
  it('translates a known code and gives the reference of an unknown one', () => {
    expect(errorText(new ApiError(401, 'bad_credentials', 'x'))).toBe(
      'Identifiant ou mot de passe incorrect.',
    );
    expect(errorText(new ApiError(500, 'internal_error', 'x', [], 'r-9'))).toContain('r-9');
    expect(errorText(new Error('boom'))).toBe('Une erreur inattendue est survenue.');
  });
});
