import DustPanel from '../modules/attic/slots/DustPanel';

export const Home = () => <DustPanel />;
