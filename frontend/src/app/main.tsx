/** Entry of the app. */
import '@/core/styles/tokens.css';
import '@/core/styles/base.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { createQueryClient, Providers } from '@/core/Providers';
import { applyTheme } from '@/core/theme';
import { App } from './App';

applyTheme();
const root = document.getElementById('root');
if (!root) throw new Error('index.html has no #root');
createRoot(root).render(
  <StrictMode>
    <Providers client={createQueryClient()}>
      <App />
    </Providers>
  </StrictMode>,
);
