"use client";

import { Mic, Upload } from "lucide-react";
import { useRef } from "react";
import { Brackets } from "@/components/brackets";
import { TagChip } from "@/components/tag-chip";
import { Button, ButtonLink } from "@/components/ui/button";
import { Switch } from "@/components/ui/switch";
import { byteSize } from "@/lib/format";
import { hashOf } from "@/lib/route";
import { useChoices } from "@/lib/store/choices";
import { useServer } from "@/lib/store/server";
import { addFiles } from "@/lib/store/uploads";

/** Where recordings come in: by a button here, or dropped or pasted anywhere on the page. */
export function DropZone({ isOver, isFirst }: { isOver: boolean; isFirst: boolean }) {
  const input = useRef<HTMLInputElement>(null);
  const capabilities = useServer((server) => server.capabilities);
  const diarize = useChoices((choices) => choices.diarize);
  return (
    <section aria-labelledby="bring" className="mx-auto mt-4 max-w-4xl sm:mt-8">
      <Brackets open={isOver}>
        <div className="flex flex-col items-center gap-5 text-center">
          <h1 id="bring" className="text-balance font-serif text-3xl leading-tight sm:text-[2.6rem]">
            {isOver ? "Let go to transcribe" : "Hear it. Read how it was said."}
          </h1>
          <p
            aria-hidden
            className="hidden max-w-2xl text-balance font-serif text-lg text-muted leading-relaxed sm:block"
          >
            <TagChip name="whispers" category="delivery" /> Come closer. <TagChip name="pause" category="pause" /> They
            said <span className="stressed text-ink">YES!</span> <TagChip name="laughs" category="non-verbal" />{" "}
            <TagChip name="excited" category="emotion" /> We start on Monday!
          </p>
          <div className="grid w-full max-w-60 gap-3 sm:flex sm:w-auto sm:max-w-none">
            <Button variant="solid" size="large" onClick={() => input.current?.click()}>
              <Upload aria-hidden />
              Choose files
            </Button>
            <ButtonLink size="large" href={hashOf({ view: "record" })}>
              <Mic aria-hidden />
              Record
            </ButtonLink>
          </div>
          <input
            ref={input}
            type="file"
            multiple
            accept="audio/*,video/*"
            aria-label="Audio or video files"
            className="sr-only"
            tabIndex={-1}
            onChange={({ target }) => {
              const files = [...(target.files ?? [])];
              target.value = ""; // so that the same file can be chosen again
              addFiles(files, { diarize });
            }}
          />
          <div className="flex min-h-6 flex-wrap items-center justify-center gap-x-6 gap-y-2 text-muted text-sm">
            <span>
              Or drop or paste audio or video
              {capabilities && `, up to ${byteSize(capabilities.max_upload_bytes)} a file`}
            </span>
            {capabilities?.diarization && (
              <Switch
                label="Tell speakers apart"
                checked={diarize}
                onCheckedChange={(checked) => useChoices.setState({ diarize: checked })}
              />
            )}
          </div>
          {isFirst && <p className="sr-only">There are no transcripts yet.</p>}
        </div>
      </Brackets>
    </section>
  );
}
