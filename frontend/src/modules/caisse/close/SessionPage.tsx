/** A session: its figures, its close, its tickets. */
import { useQuery } from '@tanstack/react-query';
import { useT as useCore, useFormat } from '@/core/i18n';
import { useMay } from '@/core/session';
import { ButtonLink } from '@/core/ui/Button';
import { Fetched } from '@/core/ui/Fetched';
import { Notice } from '@/core/ui/Notice';
import { Badge, Fact, Facts, Page, Panel } from '@/core/ui/Page';
import { type Session, sessionQuery, sessionTicketsQuery } from '../api';
import { NAMESPACE, useT } from '../messages';
import { TicketTable } from '../sales/TicketTable';
import { Closed } from './Closed';
import { CloseForm } from './CloseForm';
import css from './Session.module.css';
import { Theoretical } from './Theoretical';

export function SessionPage({ session }: { session: string }) {
  const t = useT();
  const may = useMay('caisse');
  const query = useQuery(sessionQuery(session));
  const found = query.data;
  return (
    <Page
      title={t(found?.status === 'closed' ? 'session.closedTitle' : 'session.title')}
      intro={found && t('session.of', { register: found.register.name, operator: found.operator })}
      actions={
        may &&
        found?.status === 'open' &&
        !found.deferred && (
          <ButtonLink to="/modules/caisse" look="quiet">
            ← {t('session.back')}
          </ButtonLink>
        )
      }
    >
      <Fetched query={query} namespace={NAMESPACE}>
        {(one) => (
          <div className={css.columns}>
            <Summary session={one} />
            <Control session={one} />
          </div>
        )}
      </Fetched>
      <Tickets session={session} />
    </Page>
  );
}

function Control({ session }: { session: Session }) {
  const t = useT();
  const core = useCore();
  const may = useMay('caisse');
  if (session.status === 'closed') return <Closed session={session} />;
  if (may) return <CloseForm session={session} />;
  return (
    <Panel title={t('session.control')}>
      <Theoretical session={session} />
      <Notice>{core('common.readOnly')}</Notice>
    </Panel>
  );
}

function Summary({ session }: { session: Session }) {
  const t = useT();
  const format = useFormat();
  return (
    <Panel
      title={t(`notebook.status.${session.status}`)}
      actions={session.deferred && <Badge>{t('session.deferred')}</Badge>}
    >
      <Facts>
        <Fact name={t('session.day')}>{format.day(session.business_date)}</Fact>
        <Fact name={t('session.opened')}>{format.dateTime(session.opened_at)}</Fact>
        {session.closed_at && <Fact name={t('session.closed')}>{format.dateTime(session.closed_at)}</Fact>}
        <Fact name={t('session.tickets')}>{session.ticket_count}</Fact>
        <Fact name={t('session.sales')}>{format.money(session.sales_cents)}</Fact>
        <Fact name={t('session.donations')}>{format.money(session.donations_cents)}</Fact>
        <Fact name={t('session.total')} strong>
          {format.money(session.total_cents)}
        </Fact>
      </Facts>
    </Panel>
  );
}

function Tickets({ session }: { session: string }) {
  const t = useT();
  const tickets = useQuery(sessionTicketsQuery(session));
  if (tickets.isError) return null; // the session's own error stands above already
  return (
    <Panel title={t('session.ticketList')}>
      <Fetched query={tickets} namespace={NAMESPACE}>
        {(list) =>
          list.length === 0 ? (
            <p className="soft">{t('recent.empty')}</p>
          ) : (
            <TicketTable tickets={list} caption={t('session.ticketList')} />
          )
        }
      </Fetched>
    </Panel>
  );
}
