export default function Attic() {
  return <p>Attic</p>;
}
