/** Adds up coins and notes, for who does not like to. */
import { useState } from 'react';
import { useFormat } from '@/core/i18n';
import { useT } from '../messages';
import css from './Session.module.css';

const PIECES = [10000, 5000, 2000, 1000, 500, 200, 100, 50, 20, 10, 5, 2, 1];

export function DrawerCount({ onCount }: { onCount: (cents: number) => void }) {
  const t = useT();
  const format = useFormat();
  const [numbers, setNumbers] = useState<Record<number, string>>({});
  function set(piece: number, text: string): void {
    const next = { ...numbers, [piece]: text.replace(/\D/g, '').slice(0, 5) };
    setNumbers(next);
    onCount(PIECES.reduce((sum, one) => sum + one * Number(next[one] ?? 0), 0));
  }
  return (
    <details className={css.count}>
      <summary>{t('session.help')}</summary>
      <div className={css.pieces}>
        {PIECES.map((piece) => (
          <label key={piece} className={css.piece}>
            <span>{format.money(piece)} ×</span>
            <input
              inputMode="numeric"
              aria-label={t('session.pieces', { value: format.money(piece) })}
              value={numbers[piece] ?? ''}
              onChange={(event) => set(piece, event.target.value)}
            />
          </label>
        ))}
      </div>
    </details>
  );
}
