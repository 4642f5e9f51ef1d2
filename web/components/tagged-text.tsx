"use client";

import { motion } from "motion/react";
import { useMemo } from "react";
import { TagChip } from "@/components/tag-chip";
import { type Token, toTokens } from "@/lib/tokens";
import type { Transcript } from "@/lib/transcript";

/** Chips appear one after the other, but the last never later than this. */
const STAGGER_S = 0.06;
const LAST_CHIP_S = 0.6;

/** Tagged text for reading: tags as chips, stressed words marked, everything else as it is. */
export function TaggedText({ transcript }: { transcript: Pick<Transcript, "text" | "words" | "tags"> }) {
  const tokens = useMemo(() => toTokens(transcript), [transcript]);
  let chips = 0;
  return (
    <p className="whitespace-pre-line font-serif text-[1.35rem] leading-[1.75] [overflow-wrap:anywhere] sm:text-[1.6rem]">
      {tokens.map((token, index) => {
        // biome-ignore lint/suspicious/noArrayIndexKey: tokens have no other identity and never move
        if (token.kind !== "tag") return <Plain key={index} token={token} />;
        const delay = Math.min(STAGGER_S * chips++, LAST_CHIP_S);
        return (
          <motion.span
            // biome-ignore lint/suspicious/noArrayIndexKey: as above
            key={index}
            className="inline-block"
            initial={{ opacity: 0, y: 6 }}
            animate={{ opacity: 1, y: 0 }}
            transition={{ delay, duration: 0.25 }}
          >
            <TagChip text={token.text} tag={token.tag} />
          </motion.span>
        );
      })}
    </p>
  );
}

function Plain({ token }: { token: Exclude<Token, { kind: "tag" }> }) {
  if (token.kind === "word" && token.word.emphasis) return <em className="marked not-italic">{token.text}</em>;
  return token.text;
}
