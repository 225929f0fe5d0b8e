// Who may watch: the token that the server showed when it was started first.

import { useState } from "preact/hooks";
import { ask } from "../network/server";

export function TokenEntry({ entered }: { entered(): Promise<void> }) {
  const [token, setToken] = useState("");
  const [trouble, setTrouble] = useState<string | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    setTrouble(null);
    try {
      await ask("api/login", "POST", { token: token.trim() });
      setToken("");
      await entered();
    } catch (error) {
      setTrouble(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <form class="token" onSubmit={(event) => void submit(event)}>
      <h2>This server wants a token</h2>
      <p class="quiet">It was shown when the server was started first. Whoever runs the server has it.</p>
      <label>
        Token{" "}
        <input
          type="password"
          autocomplete="current-password"
          required
          value={token}
          onInput={({ currentTarget }) => setToken(currentTarget.value)}
        />
      </label>
      <button class="primary">Enter</button>
      {trouble && (
        <p class="trouble" role="alert">
          {trouble}
        </p>
      )}
    </form>
  );
}
