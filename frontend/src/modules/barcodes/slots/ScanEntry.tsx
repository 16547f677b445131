/** Fills `sale_item_entry`: reads a barcode, by scanner or typed, and puts its item into the basket. */
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useRef, useState } from 'react';
import { ApiError } from '@/core/api';
import { errorText, useFormat } from '@/core/i18n';
import { Button } from '@/core/ui/Button';
import { TextField } from '@/core/ui/Field';
import { findLabel, type Label } from '../api';
import { isEan13 } from '../ean13';
import { NAMESPACE, useT } from '../messages';
import css from './ScanEntry.module.css';

async function lookUp(text: string): Promise<Label> {
  if (!isEan13(text)) throw new ApiError(422, 'invalid_code', `${text} is no EAN-13`);
  return findLabel(text.replace(/[\s-]/g, ''));
}

export default function ScanEntry(_: { session_id: string }) {
  const t = useT();
  const format = useFormat();
  const [text, setText] = useState('');
  const input = useRef<HTMLInputElement>(null);
  const scan = useMutation({
    mutationFn: lookUp,
    onSuccess: (label) => {
      window.dispatchEvent(
        new CustomEvent('recyclic:add-item', {
          detail: {
            label: label.label,
            category_name: label.category_name,
            unit_price_cents: label.price_cents,
            weight_grams: label.weight_grams,
            code: label.code,
          },
        }),
      );
      setText('');
    },
    onError: () => input.current?.select(),
  });
  function submit(event: FormEvent): void {
    event.preventDefault();
    if (text.trim() !== '' && !scan.isPending) scan.mutate(text.trim());
    input.current?.focus();
  }
  const done = scan.data && text === '';
  return (
    <form className={css.scan} noValidate onSubmit={submit}>
      <TextField
        ref={input}
        label={t('scan')}
        inputMode="numeric"
        autoComplete="off"
        placeholder={t('scanHint')}
        value={text}
        error={scan.isError ? errorText(scan.error, NAMESPACE) : undefined}
        onChange={(event) => {
          setText(event.target.value);
          if (!scan.isIdle && !scan.isPending) scan.reset();
        }}
      />
      <Button type="submit" busy={scan.isPending}>
        {t('scanAdd')}
      </Button>
      <p role="status" className={done ? css.done : 'visually-hidden'}>
        {done && t('scanned', { label: scan.data.label, price: format.money(scan.data.price_cents) })}
      </p>
    </form>
  );
}
