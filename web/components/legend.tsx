import { CATEGORIES, type CategoryStyle, UNKNOWN } from "@/lib/categories";
import type { Category, Transcript } from "@/lib/transcript";
import { cn } from "@/lib/utils";

/** What the colours mean and, for a transcript, how often each occurs; categories without a tag are left out. */
export function Legend({ transcript }: { transcript?: Pick<Transcript, "tags" | "words"> }) {
  const count = (category: Category | null) => transcript?.tags.filter((tag) => tag.category === category).length;
  const entries: [CategoryStyle, number | undefined][] = [
    ...Object.entries(CATEGORIES).map(([name, style]): [CategoryStyle, number | undefined] => [
      style,
      count(name as Category),
    ]),
    [UNKNOWN, count(null) ?? 0],
  ];
  const shown = entries.filter(([, total]) => total !== 0);
  const stressed = transcript?.words.filter((word) => word.emphasis).length;
  if (shown.length === 0 && stressed === 0) return <p className="text-muted text-sm">No tags</p>;
  return (
    <ul aria-label="What the colours mean" className="flex flex-wrap gap-x-4 gap-y-2 text-muted text-sm">
      {shown.map(([{ label, meaning, icon: Icon, chip }, total]) => (
        <li key={label} className="flex items-center gap-2" title={meaning}>
          <span className={cn("grid size-5 place-items-center rounded", chip)}>
            <Icon aria-hidden className="size-3" />
          </span>
          {label}
          <Count total={total} />
        </li>
      ))}
      {stressed !== 0 && (
        <li className="flex items-center gap-2" title="a word that was stressed">
          <span aria-hidden className="marked px-0.5 text-ink text-xs">
            AB
          </span>
          Stress
          <Count total={stressed} />
        </li>
      )}
    </ul>
  );
}

function Count({ total }: { total: number | undefined }) {
  return total === undefined ? null : <span className="text-ink tabular-nums">{total}</span>;
}
