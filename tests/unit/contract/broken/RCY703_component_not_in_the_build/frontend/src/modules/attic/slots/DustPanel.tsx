export default function DustPanel() {
  return <p>Dust</p>;
}
