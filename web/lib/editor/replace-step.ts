/**
 * A step that replaces many places of a document at once.
 *
 * A step for each place would have everything that moves with the text (words, history, tags) pass through as many maps.
 * Knows nothing of what is searched.
 */

import { Fragment, type Node, type Schema } from "prosemirror-model";
import { type Mappable, Step, StepMap, StepResult } from "prosemirror-transform";

/** What comes instead of all between two positions of one segment. */
export interface Replacement {
  from: number;
  to: number;
  content: Fragment;
}

export class ReplaceManyStep extends Step {
  /** @param replacements in order, none of them over another. */
  constructor(readonly replacements: readonly Replacement[]) {
    super();
  }

  apply(doc: Node): StepResult {
    const segments: Node[] = [];
    let next = 0;
    let start = 0; // the position of the first thing in the segment
    for (const segment of doc.children) {
      start += 1;
      const end = start + segment.content.size;
      let content = Fragment.empty;
      let done = start;
      const first = next;
      for (let it = this.replacements[next]; it && it.from <= end; it = this.replacements[++next]) {
        if (it.from < done || it.to > end) return StepResult.fail("The places to replace are not in one segment each");
        content = content.append(segment.content.cut(done - start, it.from - start)).append(it.content);
        done = it.to;
      }
      segments.push(next === first ? segment : segment.copy(content.append(segment.content.cut(done - start))));
      start = end + 1;
    }
    if (next < this.replacements.length) return StepResult.fail("A place to replace is outside the document");
    return StepResult.ok(doc.copy(Fragment.from(segments)));
  }

  override getMap(): StepMap {
    return new StepMap(this.replacements.flatMap(({ from, to, content }) => [from, to - from, content.size]));
  }

  invert(doc: Node): Step {
    let grown = 0;
    return new ReplaceManyStep(
      this.replacements.map(({ from, to, content }) => {
        const back = { from: from + grown, to: from + grown + content.size, content: doc.slice(from, to).content };
        grown += content.size - (to - from);
        return back;
      }),
    );
  }

  map(mapping: Mappable): Step | null {
    const kept = this.replacements.flatMap(({ from, to, content }) => {
      const start = mapping.mapResult(from, 1);
      const end = mapping.mapResult(to, -1);
      if (start.deletedAcross && end.deletedAcross) return [];
      return [{ from: start.pos, to: Math.max(start.pos, end.pos), content }];
    });
    return kept.length > 0 ? new ReplaceManyStep(kept) : null;
  }

  toJSON(): unknown {
    const replacements = this.replacements.map(({ from, to, content }) => ({ from, to, content: content.toJSON() }));
    return { stepType: "replaceMany", replacements };
  }

  static override fromJSON(schema: Schema, json: { replacements: { from: number; to: number; content: unknown }[] }) {
    return new ReplaceManyStep(
      json.replacements.map((it) => ({ ...it, content: Fragment.fromJSON(schema, it.content as never) })),
    );
  }
}
Step.jsonID("replaceMany", ReplaceManyStep);
