/**
 * Cuts tagged text into what the page draws: words, tags, and what stands between them.
 *
 * Which brackets are tags is the server's decision (its lists `tags` and `words`); this module only finds their
 * places in the text and holds no rule of the tag language.
 */

import type { Transcript, TranscriptTag, TranscriptWord } from "@/lib/transcript";

export type Token =
  | { kind: "text"; text: string }
  | { kind: "word"; text: string; word: TranscriptWord }
  | { kind: "tag"; text: string; tag: TranscriptTag };

/** A bracket pair with letters inside. Any such pair that is no tag is part of a word, so none is in doubt. */
const BRACKETS = /\[[^[\]\n]*\p{L}[^[\]\n]*\]/gu;

/**
 * The tokens of a transcript in order; their texts joined are exactly `transcript.text`.
 *
 * Words and tags that cannot be found in the text (a server that contradicts itself) end the search: the rest
 * stays plain text, so that nothing which was said is hidden.
 */
export function toTokens({ text, words, tags }: Pick<Transcript, "text" | "words" | "tags">): Token[] {
  const tokens: Token[] = [];
  let position = 0;
  let nextTag = 0;

  /** Append the token that starts at `start`, and the text before it; false where it was not found. */
  const append = (start: number, token: Token): boolean => {
    if (start < 0) return false;
    if (start > position) tokens.push({ kind: "text", text: text.slice(position, start) });
    tokens.push(token);
    position = start + token.text.length;
    return true;
  };
  const appendTagsOfGap = (gap: number): boolean => {
    for (let tag = tags[nextTag]; tag && tag.gap <= gap; tag = tags[++nextTag]) {
      BRACKETS.lastIndex = position;
      const match = BRACKETS.exec(text);
      if (!match || !append(match.index, { kind: "tag", text: match[0], tag })) return false;
    }
    return true;
  };

  let found = true;
  for (let index = 0; found && index < words.length; index++) {
    const word = words[index] as TranscriptWord;
    found =
      appendTagsOfGap(index) && append(text.indexOf(word.word, position), { kind: "word", text: word.word, word });
  }
  if (found) appendTagsOfGap(words.length);
  if (position < text.length) tokens.push({ kind: "text", text: text.slice(position) });
  return tokens;
}
