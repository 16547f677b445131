/** Pages of the till. */
import { Route, Switch } from 'wouter';
import { SessionPage } from './close/SessionPage';
import { ImportPage } from './notebook/ImportPage';
import { ReportPage } from './notebook/ReportPage';
import { History } from './sales/History';
import { SalePage } from './sales/SalePage';
import { Till } from './till/Till';

const BASE = '/modules/caisse';

export default function Caisse() {
  return (
    <Switch>
      <Route path={`${BASE}/sessions/:session`}>
        {({ session }) => <SessionPage key={session} session={session} />}
      </Route>
      <Route path={`${BASE}/ventes`} component={History} />
      <Route path={`${BASE}/ventes/:sale`}>{({ sale }) => <SalePage key={sale} sale={sale} />}</Route>
      <Route path={`${BASE}/import`} component={ImportPage} />
      <Route path={`${BASE}/import/:report`}>
        {({ report }) => <ReportPage key={report} report={report} />}
      </Route>
      <Route component={Till} />
    </Switch>
  );
}
