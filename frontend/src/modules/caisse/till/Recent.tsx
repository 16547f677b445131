/** The last tickets of the session, so that the person at the till sees that they are recorded. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { useFormat } from '@/core/i18n';
import { Fetched } from '@/core/ui/Fetched';
import { Panel } from '@/core/ui/Page';
import { sessionTicketsQuery } from '../api';
import { NAMESPACE, useT } from '../messages';
import { useTicketTitle } from '../sales/titles';
import css from './Recent.module.css';

const SHOWN = 5;

export function Recent({ session }: { session: string }) {
  const t = useT();
  const format = useFormat();
  const title = useTicketTitle();
  const tickets = useQuery(sessionTicketsQuery(session));
  return (
    <Panel title={t('recent.title')}>
      <Fetched query={tickets} namespace={NAMESPACE}>
        {(list) =>
          list.length === 0 ? (
            <p className="soft">{t('recent.empty')}</p>
          ) : (
            <>
              <ul className={css.list}>
                {[...list]
                  .sort((a, b) => b.number - a.number)
                  .slice(0, SHOWN)
                  .map((ticket) => (
                    <li key={ticket.id}>
                      <Link to={`/modules/caisse/ventes/${ticket.id}`} className={css.ticket}>
                        <span>{title(ticket)}</span>
                        <span className="soft">{format.time(ticket.created_at)}</span>
                        <span className="amount">{format.money(ticket.total_cents)}</span>
                      </Link>
                    </li>
                  ))}
              </ul>
              {list.length > SHOWN && (
                <Link className="row-link" to={`/modules/caisse/sessions/${session}`}>
                  {t('recent.all')}
                </Link>
              )}
            </>
          )
        }
      </Fetched>
    </Panel>
  );
}
