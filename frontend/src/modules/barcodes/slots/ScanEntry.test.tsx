import { screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { answer, refuse } from '@/test/host';
import { draw } from '@/test/render';
import { isEan13 } from '../ean13';
import ScanEntry from './ScanEntry';

const CODE = '2000000000015';
const LABEL = {
  id: 'l1',
  code: CODE,
  label: 'Lampe de bureau',
  category_name: 'Lampe',
  price_cents: 800,
  weight_grams: null,
  created_at: '2026-01-05T08:00:00Z',
};

describe('ScanEntry', () => {
  const added = vi.fn();
  const listen = (event: Event) => added((event as CustomEvent).detail);
  beforeEach(() => {
    added.mockReset();
    window.addEventListener('recyclic:add-item', listen);
    draw(<ScanEntry session_id="s1" />);
  });
  afterEach(() => window.removeEventListener('recyclic:add-item', listen));

  it('puts the item of a scanned code into the basket and is ready for the next', async () => {
    answer(`GET /api/modules/barcodes/labels/${CODE}`, LABEL);
    await userEvent.type(screen.getByLabelText('Code-barres'), `${CODE}{Enter}`);
    await waitFor(() =>
      expect(added).toHaveBeenCalledWith({
        label: 'Lampe de bureau',
        category_name: 'Lampe',
        unit_price_cents: 800,
        weight_grams: null,
        code: CODE,
      }),
    );
    expect(screen.getByRole('status')).toHaveTextContent('Ajouté : Lampe de bureau');
    expect(screen.getByLabelText('Code-barres')).toHaveValue('');
    expect(screen.getByLabelText('Code-barres')).toHaveFocus();
  });

  it('says so when the code is misread, without asking the host', async () => {
    await userEvent.type(screen.getByLabelText('Code-barres'), '2000000000016{Enter}');
    expect(await screen.findByText(/13 chiffres valable/)).toBeVisible();
    expect(added).not.toHaveBeenCalled();
  });

  it('says so when no label has the code', async () => {
    refuse(`GET /api/modules/barcodes/labels/${CODE}`, 404, 'unknown_code');
    await userEvent.type(screen.getByLabelText('Code-barres'), `${CODE}{Enter}`);
    expect(await screen.findByText('Aucune étiquette ne porte ce code.')).toBeVisible();
  });
});

describe('isEan13', () => {
  it.each([
    [CODE, true],
    ['2 000000-000015', true],
    ['4006381333931', true],
    ['4006381333932', false],
    ['400638133393', false],
    ['abc', false],
  ])('%s → %s', (code, good) => expect(isEan13(code)).toBe(good));
});
