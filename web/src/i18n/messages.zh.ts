/** The server's sentences: pattern, what each is about, and its Chinese. */

export interface Message {
  pattern: RegExp;
  kind: "envelope" | "quality" | "file";
  zh: string;
}

export const MESSAGES: Message[] = [];
