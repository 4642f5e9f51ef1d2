/** What people call the systems whose dialects of tags the server writes. */

const TITLES: Record<string, string> = {
  elevenlabs: "ElevenLabs v3",
  scribe: "ElevenLabs Scribe",
  "voxtral-tts": "Voxtral TTS",
  wesr: "WESR",
  nvspeech: "NVSpeech",
  orpheus: "Orpheus",
  fish: "Fish Audio",
  chatterbox: "Chatterbox",
  bark: "Bark",
  ssml: "SSML",
};

export function dialectTitle(name: string): string {
  return TITLES[name] ?? `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
}
