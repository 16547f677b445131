/** What every tree of the front end stands in, the app as well as the slot gallery. */
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { ApiError } from './api';

/** A client that asks again only where asking again can help. */
export function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 10_000,
        networkMode: 'always', // the host may be on this very machine
        retry: (failures, error) => error instanceof ApiError && error.passing && failures < 1,
        retryDelay: 500,
      },
      mutations: { retry: false, networkMode: 'always' },
    },
  });
}

export function Providers({ client, children }: { client: QueryClient; children: ReactNode }) {
  return <QueryClientProvider client={client}>{children}</QueryClientProvider>;
}
