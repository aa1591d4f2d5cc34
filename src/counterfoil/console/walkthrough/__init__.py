"""The walkthrough: a visitor plays client application and intermediary, and sees what the backend hears. For development."""
