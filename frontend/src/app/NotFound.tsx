import { useT } from '@/core/i18n';
import { ButtonLink } from '@/core/ui/Button';
import { Empty, Page } from '@/core/ui/Page';

export function NotFound() {
  const t = useT();
  return (
    <Page title={t('page.notFound')}>
      <Empty
        title={t('page.notFoundHint')}
        action={
          <ButtonLink to="/" look="primary">
            {t('page.home')}
          </ButtonLink>
        }
      />
    </Page>
  );
}
