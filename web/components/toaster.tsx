"use client";

/** Short notes of what has been done, at the foot of the page; read out by screen readers. */

import { AnimatePresence } from "motion/react";
import * as m from "motion/react-m";
import { create } from "zustand";

interface Toast {
  id: number;
  text: string;
}

const SHOWN_MS = 5000;
const useToasts = create<{ toasts: Toast[] }>()(() => ({ toasts: [] }));
let nextId = 1;

export function toast(text: string): void {
  const id = nextId++;
  useToasts.setState(({ toasts }) => ({ toasts: [...toasts.slice(-2), { id, text }] }));
  setTimeout(() => useToasts.setState(({ toasts }) => ({ toasts: toasts.filter((t) => t.id !== id) })), SHOWN_MS);
}

export function Toaster() {
  const { toasts } = useToasts();
  return (
    <div
      role="status"
      className="pointer-events-none fixed inset-x-4 bottom-36 z-50 flex flex-col items-center gap-2 sm:bottom-32"
    >
      <AnimatePresence>
        {toasts.map(({ id, text }) => (
          <m.p
            key={id}
            initial={{ opacity: 0, y: 8 }}
            animate={{ opacity: 1, y: 0 }}
            exit={{ opacity: 0 }}
            className="rounded-lg bg-ink px-4 py-2.5 text-paper text-sm shadow-raised"
          >
            {text}
          </m.p>
        ))}
      </AnimatePresence>
    </div>
  );
}
