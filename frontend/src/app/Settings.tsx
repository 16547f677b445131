import { useMutation, useQueryClient } from '@tanstack/react-query';
import { LOCALES, setLocale, useLocale, useT } from '@/core/i18n';
import { ModuleSlot } from '@/core/ModuleSlot';
import { signOut, useUi } from '@/core/session';
import { setTheme, THEMES, useTheme } from '@/core/theme';
import { Button } from '@/core/ui/Button';
import { Failure } from '@/core/ui/Fetched';
import { Choice } from '@/core/ui/Field';
import { Fact, Facts, Page, Panel } from '@/core/ui/Page';

const NAMES = { fr: 'Français', en: 'English' };

export default function Settings() {
  const t = useT();
  const locale = useLocale();
  const theme = useTheme();
  const ui = useUi();
  return (
    <Page title={t('settings.title')}>
      <div className="columns">
        <Panel>
          <Choice
            legend={t('settings.language')}
            name="locale"
            value={locale}
            options={LOCALES.map((one) => ({ value: one, label: NAMES[one] }))}
            onChange={(one) => setLocale(one)}
          />
          <Choice
            legend={t('settings.theme')}
            name="theme"
            value={theme}
            options={THEMES.map((one) => ({ value: one, label: t(`settings.themes.${one}`) }))}
            onChange={setTheme}
          />
        </Panel>
        <Account />
        <Panel title={t('settings.about')}>
          <p>{t('settings.version', { version: ui.host_version })}</p>
          <h3>{t('settings.moduleList')}</h3>
          <Facts>
            {ui.modules.map((module) => (
              <Fact key={module.id} name={module.name}>
                {module.version}
              </Fact>
            ))}
          </Facts>
        </Panel>
      </div>
      {(ui.slots.settings_menu?.length ?? 0) > 0 && (
        <Panel title={t('settings.modules')}>
          <ModuleSlot name="settings_menu" context={{}} />
        </Panel>
      )}
    </Page>
  );
}

function Account() {
  const t = useT();
  const { user } = useUi();
  const client = useQueryClient();
  const leave = useMutation({ mutationFn: () => signOut(client) });
  return (
    <Panel title={t('settings.account')}>
      <p>{t('settings.signedInAs', { name: user?.name ?? '' })}</p>
      {leave.isError && <Failure error={leave.error} />}
      <div>
        <Button busy={leave.isPending} onClick={() => leave.mutate()}>
          {t('signIn.out')}
        </Button>
      </div>
    </Panel>
  );
}
