/** Bringing in a paper notebook, and the notebooks brought in before. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useLocation } from 'wouter';
import { ApiError } from '@/core/api';
import { errorText, useT as useCore, useFormat } from '@/core/i18n';
import { useMay } from '@/core/session';
import { ButtonLink } from '@/core/ui/Button';
import { Fetched } from '@/core/ui/Fetched';
import { Loading } from '@/core/ui/Loading';
import { Notice } from '@/core/ui/Notice';
import { Badge, Empty, Page, Panel } from '@/core/ui/Page';
import { Table } from '@/core/ui/Table';
import { importNotebook, importQuery, importsQuery } from '../api';
import { NAMESPACE, useT } from '../messages';
import css from './Notebook.module.css';

export function ImportPage() {
  const t = useT();
  const core = useCore();
  const may = useMay('caisse');
  const client = useQueryClient();
  const [, navigate] = useLocation();
  const upload = useMutation({
    mutationFn: importNotebook,
    onSuccess: (report) => {
      client.setQueryData(importQuery(report.id).queryKey, report);
      navigate(`/modules/caisse/import/${report.id}`);
    },
  });
  return (
    <Page title={t('notebook.title')} intro={t('notebook.intro')}>
      <Panel>
        {!may && <Notice>{core('common.readOnly')}</Notice>}
        {may && !upload.isPending && <Drop onFile={upload.mutate} />}
        {upload.isPending && <Loading label={t('notebook.working')} />}
        {upload.isError && <Refused error={upload.error} />}
      </Panel>
      <Past />
    </Page>
  );
}

function Drop({ onFile }: { onFile: (file: File) => void }) {
  const t = useT();
  const [over, setOver] = useState(false);
  return (
    <label
      className={css.drop}
      data-over={over || undefined}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        const file = event.dataTransfer.files[0];
        if (file) onFile(file);
      }}
    >
      <input
        type="file"
        accept=".csv,text/csv,text/plain"
        onChange={(event) => {
          const file = event.target.files?.[0];
          event.target.value = '';
          if (file) onFile(file);
        }}
      />
      <strong>{t('notebook.choose')}</strong>
      <span className="soft">{t('notebook.drop')}</span>
    </label>
  );
}

/** A file that was brought in before leads to its report. */
function Refused({ error }: { error: unknown }) {
  const t = useT();
  const known = error instanceof ApiError && error.details.import_id;
  return (
    <Notice
      tone={known ? 'warn' : 'bad'}
      action={
        typeof known === 'string' && (
          <ButtonLink to={`/modules/caisse/import/${known}`}>{t('notebook.already')}</ButtonLink>
        )
      }
    >
      {errorText(error, NAMESPACE)}
    </Notice>
  );
}

function Past() {
  const t = useT();
  const format = useFormat();
  const imports = useQuery(importsQuery);
  return (
    <Panel title={t('notebook.past')}>
      <Fetched query={imports} namespace={NAMESPACE}>
        {(list) =>
          list.length === 0 ? (
            <Empty title={t('notebook.none')} />
          ) : (
            <Table
              caption={t('notebook.past')}
              rows={list}
              rowKey={({ id }) => id}
              columns={[
                {
                  head: t('notebook.file'),
                  cell: ({ id, filename }) => (
                    <Link to={`/modules/caisse/import/${id}`} className="row-link">
                      {filename}
                    </Link>
                  ),
                },
                { head: t('notebook.when'), cell: ({ imported_at }) => format.dateTime(imported_at) },
                { head: t('notebook.rows'), number: true, cell: ({ rows }) => rows },
                {
                  head: t('notebook.held'),
                  cell: ({ held }) =>
                    held > 0 ? (
                      <Badge tone="warn">{t('notebook.waiting', { count: held })}</Badge>
                    ) : (
                      <Badge tone="good">{t('notebook.complete')}</Badge>
                    ),
                },
              ]}
            />
          )
        }
      </Fetched>
    </Panel>
  );
}
