/** What members asks the host. */
import { infiniteQueryOptions, keepPreviousData } from '@tanstack/react-query';
import { api } from '@/core/api';

const BASE = '/api/modules/members/members';

export interface Member {
  id: string;
  number: number;
  first_name: string;
  last_name: string;
  email: string | null;
  phone: string | null;
  city: string | null;
}

export interface NewMember {
  first_name: string;
  last_name: string;
  email: string;
  phone: string;
  address: string;
  postal_code: string;
  city: string;
  confirm_duplicate?: boolean;
}

export interface MemberPage {
  items: Member[];
  total: number;
  next: string | null;
}

export const membersQuery = (search: string) =>
  infiniteQueryOptions({
    queryKey: ['members', search],
    queryFn: ({ signal, pageParam }) => {
      const query = new URLSearchParams({ search, limit: '50', ...(pageParam ? { after: pageParam } : {}) });
      return api<MemberPage>(`${BASE}?${query}`, { signal });
    },
    initialPageParam: '',
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
  });

export const addMember = (member: NewMember) => api<Member>(BASE, { json: member });
