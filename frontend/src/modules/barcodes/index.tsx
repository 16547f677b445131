/** Labels: make one, see it, print a sheet. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useT as useCore, useFormat } from '@/core/i18n';
import { useMay } from '@/core/session';
import { Button } from '@/core/ui/Button';
import { Failure } from '@/core/ui/Fetched';
import { Loading } from '@/core/ui/Loading';
import { Empty, Page, Panel } from '@/core/ui/Page';
import { type Label, labelsQuery, pictureOf, sheetOf } from './api';
import css from './Labels.module.css';
import { NAMESPACE, useT } from './messages';
import { NewLabelForm } from './NewLabelForm';

export default function Barcodes() {
  const t = useT();
  const may = useMay('caisse');
  const [chosen, setChosen] = useState<readonly string[]>([]);
  return (
    <Page title={t('title')} intro={t('intro')}>
      <div className={css.columns}>
        {may && <NewLabelForm onMade={({ id }) => setChosen((ids) => [...ids, id])} />}
        <Recent chosen={chosen} onChoose={setChosen} />
      </div>
    </Page>
  );
}

interface RecentProps {
  chosen: readonly string[];
  onChoose: (ids: readonly string[]) => void;
}

function Recent({ chosen, onChoose }: RecentProps) {
  const t = useT();
  const core = useCore();
  const { data, error, isPending, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } =
    useInfiniteQuery(labelsQuery);
  const labels = data?.pages.flatMap(({ items }) => items) ?? [];
  const toggle = ({ id }: Label): void =>
    onChoose(chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id]);
  return (
    <Panel
      title={t('list')}
      actions={
        chosen.length > 0 && (
          <a className={css.print} href={sheetOf(chosen)} target="_blank" rel="noreferrer">
            {t('print', { count: chosen.length })}
          </a>
        )
      }
    >
      {isPending && <Loading />}
      {error && <Failure error={error} namespace={NAMESPACE} onRetry={() => refetch()} />}
      {data && labels.length === 0 && <Empty title={t('empty')}>{t('emptyHint')}</Empty>}
      {labels.length > 0 && (
        <>
          <p className="soft">{t('printHint')}</p>
          <ul className={css.labels}>
            {labels.map((label) => (
              <LabelKey
                key={label.id}
                label={label}
                checked={chosen.includes(label.id)}
                onToggle={() => toggle(label)}
              />
            ))}
          </ul>
        </>
      )}
      {hasNextPage && (
        <Button busy={isFetchingNextPage} onClick={() => fetchNextPage()}>
          {core('common.more')}
        </Button>
      )}
    </Panel>
  );
}

function LabelKey({ label, checked, onToggle }: { label: Label; checked: boolean; onToggle: () => void }) {
  const t = useT();
  const format = useFormat();
  return (
    <li>
      <label className={css.label}>
        <input
          type="checkbox"
          checked={checked}
          onChange={onToggle}
          aria-label={t('choose', { label: label.label })}
        />
        <img
          src={pictureOf(label)}
          alt={t('picture', { label: label.label, code: label.code })}
          loading="lazy"
          className={css.picture}
        />
        <span className="soft">
          {label.label} · {format.money(label.price_cents)}
        </span>
      </label>
    </li>
  );
}
