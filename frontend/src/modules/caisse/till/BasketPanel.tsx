/** The basket, drawn as the ticket it will become. */
import { useState } from 'react';
import { useT as useCore, useFormat } from '@/core/i18n';
import { Button } from '@/core/ui/Button';
import { Stepper } from '@/core/ui/Field';
import { Empty } from '@/core/ui/Page';
import { useT } from '../messages';
import css from './BasketPanel.module.css';
import { type Line, totalOf } from './basket';

interface BasketPanelProps {
  lines: readonly Line[];
  onQuantity: (key: string, quantity: number) => void;
  onRemove: (key: string) => void;
  onClear: () => void;
  onPay: () => void;
}

export function BasketPanel({ lines, onQuantity, onRemove, onClear, onPay }: BasketPanelProps) {
  const t = useT();
  const format = useFormat();
  return (
    <section className={css.ticket} aria-labelledby="basket-title">
      <div className="row spread">
        <h2 id="basket-title">{t('basket.title')}</h2>
        {lines.length > 0 && <Clear onClear={onClear} />}
      </div>
      {lines.length === 0 ? (
        <Empty
          title={t('basket.empty')}
          action={
            <Button look="quiet" onClick={onPay}>
              {t('basket.donation')}
            </Button>
          }
        >
          {t('basket.emptyHint')}
        </Empty>
      ) : (
        <>
          <ul className={css.lines}>
            {lines.map((line) => (
              <BasketLine key={line.key} line={line} onQuantity={onQuantity} onRemove={onRemove} />
            ))}
          </ul>
          <p className={css.total}>
            <span>{t('basket.total')}</span>
            <span className="amount">{format.money(totalOf(lines))}</span>
          </p>
          <Button look="pay" onClick={onPay}>
            {t('basket.pay')}
          </Button>
        </>
      )}
    </section>
  );
}

interface BasketLineProps {
  line: Line;
  onQuantity: (key: string, quantity: number) => void;
  onRemove: (key: string) => void;
}

function BasketLine({ line, onQuantity, onRemove }: BasketLineProps) {
  const t = useT();
  const format = useFormat();
  const name = line.label || line.category || '';
  const detail = [
    line.label && line.category,
    line.quantity > 1 && format.money(line.unit_price_cents),
    line.weight_grams !== null && format.weight(line.weight_grams),
  ].filter(Boolean);
  return (
    <li className={css.line}>
      <span className={css.name}>
        {name}
        {detail.length > 0 && <small className="soft">{detail.join(' · ')}</small>}
      </span>
      <span className="amount">
        {line.unit_price_cents === 0 ? t('basket.gift') : format.money(line.quantity * line.unit_price_cents)}
      </span>
      <Stepper
        label={t('basket.quantityOf', { label: name })}
        value={line.quantity}
        onChange={(quantity) => onQuantity(line.key, quantity)}
      />
      <Button
        look="quiet"
        aria-label={t('basket.removeLine', { label: name })}
        onClick={() => onRemove(line.key)}
      >
        <svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" className={css.bin}>
          <path d="M5 7h14M10 4h4M7 7l1 13h8l1-13M10.500 11v5M13.500 11v5" />
        </svg>
      </Button>
    </li>
  );
}

/** Emptying asks once more in place. */
function Clear({ onClear }: { onClear: () => void }) {
  const t = useT();
  const core = useCore();
  const [asked, setAsked] = useState(false);
  if (!asked) {
    return (
      <Button look="quiet" onClick={() => setAsked(true)}>
        {t('basket.clear')}
      </Button>
    );
  }
  return (
    <span className="row">
      <Button look="danger" onClick={onClear}>
        {t('basket.clearSure')}
      </Button>
      <Button look="quiet" onClick={() => setAsked(false)}>
        {core('common.cancel')}
      </Button>
    </span>
  );
}
