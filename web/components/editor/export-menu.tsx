"use client";

import { ChevronDown, Copy, Download } from "lucide-react";
import { toast } from "@/components/toaster";
import { Button } from "@/components/ui/button";
import { Menu, MenuItem, MenuLabel, MenuSeparator } from "@/components/ui/menu";
import { audioAddress, exportAddress, exportText } from "@/lib/api/client";
import { problemOf } from "@/lib/api/problem";
import { dialectTitle } from "@/lib/dialects";
import { segmentsOf } from "@/lib/editor/document";
import type { TranscriptEditor } from "@/lib/editor/editor";
import type { Saver } from "@/lib/editor/saver";
import { copyText, download, downloadAddress } from "@/lib/share";
import { useServer } from "@/lib/store/server";
import type { Loaded } from "@/lib/use-document";

const FORMATS = [
  ["txt", "Text with tags"],
  ["plain", "Plain text"],
  ["docx", "Word"],
  ["srt", "Subtitles, SRT"],
  ["vtt", "Subtitles, WebVTT"],
  ["tsv", "Table, TSV"],
  ["json", "JSON"],
] as const;

/** Every way out: the clipboard, in the words of other systems, and files. */
export function ExportMenu({
  loaded: { document, isKept },
  editor,
  saver,
  name,
}: {
  loaded: Loaded;
  editor: TranscriptEditor;
  saver: Saver;
  name: string;
}) {
  const dialects = useServer(({ capabilities }) => capabilities?.dialects ?? []);
  const text = () =>
    segmentsOf(editor.state.doc)
      .map((segment) => segment.text)
      .join("\n\n");

  const copy = async () => toast((await copyText(text())) ? "The text is copied" : "The browser refused the clipboard");

  const copyFor = async (dialect: string) => {
    try {
      await saver.flush();
      const { text: translated, lost } = await exportText(document.id, dialect);
      const title = dialectTitle(dialect);
      if (!(await copyText(translated))) return toast("The browser refused the clipboard");
      toast(lost.length > 0 ? `Copied for ${title}, which cannot say ${lost.join(", ")}` : `Copied for ${title}`);
    } catch (error) {
      toast(problemOf(error).detail);
    }
  };

  const save = async (format: string) => {
    if (!isKept) {
      const json = JSON.stringify({ ...document.transcript, segments: segmentsOf(editor.state.doc) }, null, 2);
      if (format === "json") download(`${name}.json`, json, "application/json");
      else download(`${name}.txt`, text(), "text/plain");
      return;
    }
    if (await saver.flush()) downloadAddress(exportAddress(document.id, format));
    else toast("Your last changes are not saved yet, so the file would lack them");
  };

  return (
    <Menu
      trigger={
        <Button size="small">
          Export
          <ChevronDown aria-hidden />
        </Button>
      }
    >
      <MenuItem onSelect={copy}>
        <Copy aria-hidden />
        Copy the text
      </MenuItem>
      {isKept && dialects.length > 0 && (
        <>
          <MenuLabel>Copy in the words of</MenuLabel>
          {dialects.map((dialect) => (
            <MenuItem key={dialect} onSelect={() => copyFor(dialect)} className="pl-9">
              {dialectTitle(dialect)}
            </MenuItem>
          ))}
        </>
      )}
      <MenuSeparator />
      <MenuLabel>Download</MenuLabel>
      {FORMATS.filter(([format]) => isKept || format === "txt" || format === "json").map(([format, title]) => (
        <MenuItem key={format} onSelect={() => save(format)}>
          <Download aria-hidden />
          {title}
        </MenuItem>
      ))}
      {isKept && document.has_audio && (
        <MenuItem onSelect={() => downloadAddress(audioAddress(document.id), name)}>
          <Download aria-hidden />
          The recording
        </MenuItem>
      )}
    </Menu>
  );
}
