/** Selling: categories at the left, the basket at the right, payment on top. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useRef, useState } from 'react';
import { useFormat } from '@/core/i18n';
import { ModuleSlot } from '@/core/ModuleSlot';
import { Button, ButtonLink } from '@/core/ui/Button';
import { Fetched } from '@/core/ui/Fetched';
import { Page } from '@/core/ui/Page';
import { categoriesQuery, type Register, type Ticket } from '../api';
import { NAMESPACE, useT } from '../messages';
import { BasketPanel } from './BasketPanel';
import { fresh, type Line, piecesOf, totalOf, useBasket, withLine, without, withQuantity } from './basket';
import { Payment } from './Payment';
import { Picker } from './Picker';
import { Recent } from './Recent';
import { Recorded } from './Recorded';
import css from './Sell.module.css';

interface SellProps {
  register: Register;
  session: { id: string; operator: string; opened_at: string };
  onChange: () => void;
}

export function Sell({ register, session, onChange }: SellProps) {
  const t = useT();
  const format = useFormat();
  const client = useQueryClient();
  const categories = useQuery(categoriesQuery);
  const [basket, change] = useBasket(session.id);
  const [paying, setPaying] = useState(false);
  const [recorded, setRecorded] = useState<Ticket | null>(null);
  const [said, setSaid] = useState('');
  const add = useCallback(
    (line: Omit<Line, 'key'>) => {
      change((now) => withLine(now, line));
      setSaid(
        t('sell.added', {
          label: line.label || line.category || '',
          price: format.money(line.unit_price_cents),
        }),
      );
    },
    [change, format, t],
  );
  useScannedItems(add);
  const left = useRef<HTMLDivElement>(null);
  // With a keyboard the next sale begins in the first field, where a scanner writes too; a tablet would open its own.
  const nextSale = (): void => {
    const typing = window.matchMedia?.('(pointer: fine)').matches;
    left.current?.querySelector<HTMLElement>(typing ? 'input' : 'h2')?.focus();
  };
  const total = totalOf(basket.lines);
  return (
    <Page
      title={register.name}
      intro={t('sell.since', { operator: session.operator, time: format.time(session.opened_at) })}
      documentTitle={t('sell.title')}
      width="wide"
      actions={
        <>
          <Button look="quiet" onClick={onChange}>
            {t('sell.change')}
          </Button>
          <ButtonLink to={`/modules/caisse/sessions/${session.id}`}>{t('sell.finish')}</ButtonLink>
        </>
      }
    >
      <div className={css.till}>
        <div ref={left} className={css.left}>
          <div className={css.slot}>
            <ModuleSlot name="sale_item_entry" context={{ session_id: session.id }} />
          </div>
          <Fetched query={categories} namespace={NAMESPACE}>
            {(list) => <Picker categories={list} onAdd={add} />}
          </Fetched>
        </div>
        <div className={css.right} id="basket">
          <BasketPanel
            lines={basket.lines}
            onQuantity={(key, quantity) => change((now) => withQuantity(now, key, quantity))}
            onRemove={(key) => change((now) => without(now, key))}
            onClear={() => change(fresh)}
            onPay={() => setPaying(true)}
          />
          <Recent session={session.id} />
        </div>
      </div>
      {basket.lines.length > 0 && (
        <div className={css.bottom}>
          <a href="#basket">{t('basket.items', { count: piecesOf(basket.lines) })}</a>
          <Button look="pay" onClick={() => setPaying(true)}>
            {t('basket.pay')} · {format.money(total)}
          </Button>
        </div>
      )}
      <p className="visually-hidden" role="status">
        {said}
      </p>
      {paying && (
        <Payment
          session={session.id}
          basket={basket}
          onClose={() => setPaying(false)}
          onRecorded={(ticket) => {
            change(fresh);
            setPaying(false);
            setRecorded(ticket);
            void client.invalidateQueries({ queryKey: ['caisse', 'session', session.id] });
            void client.invalidateQueries({ queryKey: ['caisse', 'tickets'] });
          }}
        />
      )}
      {recorded && <Recorded ticket={recorded} onClose={() => setRecorded(null)} returnFocus={nextSale} />}
    </Page>
  );
}

/** Items that an extension of this page read, say from a barcode. */
function useScannedItems(add: (line: Omit<Line, 'key'>) => void): void {
  useEffect(() => {
    function listen(event: Event): void {
      const item = (event as CustomEvent<Partial<Record<string, unknown>>>).detail ?? {};
      const { label, category_name, unit_price_cents, weight_grams, code } = item;
      if (!Number.isSafeInteger(unit_price_cents) || (unit_price_cents as number) < 0) return;
      add({
        label: typeof label === 'string' ? label : '',
        category: typeof category_name === 'string' ? category_name : null,
        category_id: null,
        category_name: typeof category_name === 'string' ? category_name : null,
        quantity: 1,
        weight_grams: Number.isSafeInteger(weight_grams) ? (weight_grams as number) : null,
        unit_price_cents: unit_price_cents as number,
        code: typeof code === 'string' ? code : null,
      });
    }
    window.addEventListener('recyclic:add-item', listen);
    return () => window.removeEventListener('recyclic:add-item', listen);
  }, [add]);
}
