#!/usr/bin/env bash
# PEFT: on nn.MultiheadAttention, which CLIP's towers are made of, LoRA takes lora_dropout=0.9 in silence and drops nothing; DoRA there is refused.
# Guess before running: dropout acts on the attention's input as it does on a linear layer's, or is refused as DoRA is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check torch==2.14.1 peft==0.21.2 numpy==2.4.6 2>/dev/null
env/bin/python - <<'EOF'
import peft, torch
from peft import LoraConfig, get_peft_model

torch.manual_seed(0)


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = torch.nn.MultiheadAttention(16, 2, batch_first=True)
        self.linear = torch.nn.Linear(16, 16)

    def forward(self, x):
        return self.linear(self.attention(x, x, x, need_weights=False)[0])


def differences(module):
    """The largest difference of two forwards in train mode, with adapters that are not at zero."""
    model = get_peft_model(Block(), LoraConfig(target_modules=[module], lora_dropout=0.9, init_lora_weights=False)).train()
    x = torch.randn(2, 5, 16)
    with torch.no_grad():
        return (model(x) - model(x)).abs().max().item()


print("peft", peft.__version__, "torch", torch.__version__)
found = {module: differences(module) for module in ("linear", "attention")}
for module, difference in found.items():
    print(f"lora_dropout=0.9 on {module}: two forwards in train mode differ by {difference:.4f}")
try:
    get_peft_model(Block(), LoraConfig(target_modules=["attention"], use_dora=True))
    print("use_dora=True on attention: taken")
except Exception as error:
    print(f"use_dora=True on attention: {type(error).__name__}: {str(error)[:100]}")
assert found["linear"] > 0.01
assert found["attention"] == 0.0
EOF
