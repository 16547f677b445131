import { HttpResponse, http } from 'msw';
import { describe, expect, it, vi } from 'vitest';
import { answer, host, refuse, unreachable } from '@/test/host';
import { ApiError, api, onSignedOut, requestsInFlight } from './api';
import { errorText } from './i18n';

async function failure(promise: Promise<unknown>): Promise<ApiError> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
}

describe('api', () => {
  it('sends and reads JSON', async () => {
    const sent = answer('POST /api/thing', { id: 7 }, 201);
    await expect(api('/api/thing', { json: { name: 'a' } })).resolves.toEqual({ id: 7 });
    expect(sent).toEqual([{ method: 'POST', path: '/api/thing', body: { name: 'a' } }]);
    expect(requestsInFlight()).toBe(0);
  });

  it('carries the code, the fields and the details of an error', async () => {
    refuse('GET /api/thing', 422, 'bad', { fields: [{ path: 'price', message: 'no' }], details: { id: 3 } });
    const error = await failure(api('/api/thing'));
    expect(error).toMatchObject({ status: 422, code: 'bad', requestId: 'r-1', details: { id: 3 } });
    expect(error.fields).toEqual([{ path: 'price', message: 'no' }]);
  });

  it('says that the server does not answer', async () => {
    unreachable('GET /api/thing');
    const error = await failure(api('/api/thing'));
    expect(error.code).toBe('network_unreachable');
    expect(errorText(error)).toContain('ne répond pas');
  });

  it('gives up after a time', async () => {
    host.use(http.get('/api/slow', () => new Promise<Response>(() => {})));
    expect((await failure(api('/api/slow', { timeout: 5 }))).code).toBe('network_timeout');
  });

  it('copes with an error page that is no JSON', async () => {
    host.use(http.get('/api/thing', () => new HttpResponse('<h1>Bad gateway</h1>', { status: 502 })));
    const error = await failure(api('/api/thing'));
    expect(error).toMatchObject({ code: 'http_502', passing: true });
    expect(errorText(error)).toContain('rencontré un problème');
  });

  it('tells when nobody is signed in any more, but not for a wrong password', async () => {
    const told = vi.fn();
    const forget = onSignedOut(told);
    refuse('POST /api/auth/sign-in', 401, 'bad_credentials');
    await failure(api('/api/auth/sign-in', { json: {} }));
    expect(told).not.toHaveBeenCalled();
    refuse('GET /api/modules/caisse/registers', 401, 'not_signed_in');
    await failure(api('/api/modules/caisse/registers'));
    expect(told).toHaveBeenCalledOnce();
    forget();
  });
});
