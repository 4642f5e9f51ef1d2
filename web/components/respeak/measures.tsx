import { shownMeasures } from "@/lib/measures";

/** The bench's round-trip measures of this one recording. */
export function Measures({ measures }: { measures: Record<string, number | null> }) {
  const shown = shownMeasures(measures);
  return (
    <section aria-label="Measures">
      <h2 className="mb-2 font-semibold">How much came through</h2>
      {shown.length === 0 && <p className="text-muted">Too little speech to be measured.</p>}
      <dl className="flex flex-col">
        {shown.map(({ name, label, value, unit, better }) => (
          <div key={name} className="flex items-baseline gap-3 border-line border-b py-1.5">
            <dt title={better ? `${better} is better` : undefined}>{label}</dt>
            <dd className="ml-auto whitespace-nowrap tabular-nums">
              {value} <span className="text-muted text-xs">{unit}</span>
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
