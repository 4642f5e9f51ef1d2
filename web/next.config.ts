import type { NextConfig } from "next";
import { PHASE_DEVELOPMENT_SERVER } from "next/constants";

// `npm run dev` shows the page with live reload and sends its requests on to a running `evoxtral serve`.
const developmentServer = "http://127.0.0.1:8000";

const config = (phase: string): NextConfig =>
  phase === PHASE_DEVELOPMENT_SERVER
    ? {
        rewrites: async () =>
          ["/transcribe", "/health"].map((path) => ({ source: path, destination: developmentServer + path })),
      }
    : { output: "export" };

export default config;
