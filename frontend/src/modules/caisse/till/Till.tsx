/** The till: opens a register, or goes on in the session that is open. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useMay } from '@/core/session';
import { Fetched } from '@/core/ui/Fetched';
import { Page } from '@/core/ui/Page';
import { registersQuery } from '../api';
import { NAMESPACE, useT } from '../messages';
import { chosenRegister, forgetRegister, rememberRegister } from './chosen';
import { OpenSession } from './OpenSession';
import { Sell } from './Sell';

export function Till() {
  const t = useT();
  const may = useMay('caisse');
  const registers = useQuery(registersQuery);
  const [chosen, setChosen] = useState(chosenRegister);
  const active = registers.data?.find(({ id, open_session }) => id === chosen && open_session);
  if (may && active?.open_session) {
    return (
      <Sell
        key={active.open_session.id}
        register={active}
        session={active.open_session}
        onChange={() => {
          forgetRegister();
          setChosen(null);
        }}
      />
    );
  }
  return (
    <Page title={t('open.title')} intro={t('open.intro')} width="narrow">
      <Fetched query={registers} namespace={NAMESPACE}>
        {(list) => (
          <OpenSession
            registers={list}
            onChoose={(register) => {
              rememberRegister(register);
              setChosen(register);
            }}
          />
        )}
      </Fetched>
    </Page>
  );
}
