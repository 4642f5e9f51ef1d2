import type { NextConfig } from "next";
import { PHASE_DEVELOPMENT_SERVER } from "next/constants";

// `npm run dev` shows the page with live reload and sends its requests on to a running `evoxtral serve`.
const developmentServer = "http://127.0.0.1:8000";

const config = (phase: string): NextConfig =>
  phase === PHASE_DEVELOPMENT_SERVER
    ? {
        rewrites: async () =>
          ["/capabilities", "/jobs", "/transcripts", "/transcribe", "/session"].map((path) => ({
            source: `${path}/:rest*`,
            destination: `${developmentServer}${path}/:rest*`,
          })),
      }
    : { output: "export", typescript: { ignoreBuildErrors: true } }; // `npm run check` finds them

export default config;
