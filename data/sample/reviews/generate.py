"""Write the small corpus of reviews in this directory.

``python data/sample/reviews/generate.py`` rewrites ``train.tsv``, ``valid.tsv`` and ``test.tsv`` byte for byte: every
choice is drawn from ``random.Random`` with a fixed seed. All sentences were written for this project.

A review speaks of one to three things of its domain, in Chinese or, one in six, in English. Its label says whether
praise (``good``) or complaint (``bad``) prevails; some reviews admit a point of the other side. Each split has phrases
of its own besides those that all share, so that words alone do not give the answer away.
"""

from __future__ import annotations

import random
from pathlib import Path

SEED = 20190611
SIZES = {"train": 300, "valid": 60, "test": 60}
HEADER = "label\tdomain\ttext_a"
LABELS = ("bad", "good")
OTHER_SIDE = 0.3
"""Fraction of reviews with a statement of the opposite polarity."""
ENGLISH = 1 / 6

# Domain -> thing -> complaints and praises.
CHINESE: dict[str, dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "hotel": {
        "房间": (("又小又暗", "有一股霉味", "隔音太差，整夜睡不好"), ("宽敞明亮", "很干净", "安静，睡得很香")),
        "早餐": (("品种太少", "是凉的，难以下咽"), ("很丰盛", "味道不错，品种也多")),
        "前台": (("态度冷淡", "办手续慢得让人生气"), ("热情周到", "办手续很快，还送了地图")),
        "位置": (("偏僻，打不到车", "靠着高架桥，吵得很"), ("很好，离地铁站两分钟", "方便，楼下就是小吃街")),
        "浴室": (("漏水，地上全湿了", "没有热水"), ("水很热，毛巾也新", "收拾得一尘不染")),
    },
    "book": {
        "内容": (("空洞，翻几页就想扔", "东拼西凑，没有新意"), ("充实，读完很有收获", "精彩，一口气看完了")),
        "翻译": (("生硬，错得离谱", "读起来像机器写的"), ("流畅，忠实原文", "优美，值得细读")),
        "印刷": (("模糊，字都连在一起", "粗糙，还有缺页"), ("清晰，纸张也舒服", "精美，适合收藏")),
        "情节": (("老套，猜得到结局", "拖沓，看得直打瞌睡"), ("紧凑，扣人心弦", "感人，看哭了好几次")),
        "作者": (("自说自话，让人失望", "不懂装懂"), ("见解独到", "文笔幽默，让人佩服")),
    },
    "laptop": {
        "屏幕": (("有坏点", "发黄，看久了眼睛疼"), ("色彩漂亮", "很亮，看电影很享受")),
        "键盘": (("松动，打字老出错", "太软，没有手感"), ("手感很好", "布局合理，打字舒服")),
        "电池": (("一小时就没电", "充不满，像是旧货"), ("能用一整天", "很耐用，出差不带电源")),
        "散热": (("很差，烫得能煎蛋", "不行，风扇像飞机起飞"), ("出色，几乎没有声音", "很好，玩游戏也不烫")),
        "客服": (("推来推去，没人负责", "电话永远打不通"), ("耐心，当天就解决了", "专业，讲得很清楚")),
    },
}
ENGLISH_PHRASES: dict[str, dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "hotel": {
        "the room": (("smelled of smoke", "was tiny and dark"), ("was spotless", "was quiet and bright")),
        "the staff": (("ignored us", "were rude"), ("were kind and quick", "couldn't have been nicer")),
    },
    "book": {
        "the plot": (("drags on and on", "is dull"), ("kept me awake", "is clever and moving")),
        "the print": (("is blurred", 'has pages marked "proof" in it'), ("is crisp", "is lovely")),
    },
    "laptop": {
        "the screen": (("flickers", "has dead pixels"), ("is gorgeous", "is sharp and bright")),
        "the battery": (("died after a week", "is weak"), ("lasts all day", "is excellent")),
    },
}
OPENINGS = {
    "common": ("", "", "", "说说感受：", "用了一段时间了，"),
    "train": ("朋友推荐的。", "第一次买，", "看了评论才来的。"),
    "valid": ("趁打折下的单，", "家里人选的。"),
    "test": ("等了一周，", "第二次了，"),
}
CLOSINGS = {
    "common": (("不推荐。", "太失望了。", "后悔了。", ""), ("强烈推荐！", "很满意。", "下次还来。", "")),
    "train": (("差评！", "再也不会来了。"), ("五星好评！", "物超所值。")),
    "valid": (("白花钱。", "别上当。"), ("超出预期。", "值得。")),
    "test": (("气死我了。", "一肚子火。"), ("真的很赞。", "没有遗憾。")),
}


def chinese(rng: random.Random, split: str, domain: str, label: int) -> str:
    """Generate a review in Chinese."""
    things = rng.sample(sorted(CHINESE[domain]), rng.randint(1, 3))
    said = [thing + rng.choice(CHINESE[domain][thing][label]) for thing in things]
    if len(said) > 1 and rng.random() < OTHER_SIDE:
        admitted = things[-1] + rng.choice(CHINESE[domain][things[-1]][1 - label])
        said = [f"虽然{admitted}，但是{'，'.join(said[:-1])}"]
    opening = rng.choice(OPENINGS["common"] + OPENINGS[split])
    closing = rng.choice(CLOSINGS["common"][label] + CLOSINGS[split][label])
    return f"{opening}{rng.choice('，；').join(said)}。{closing}"


def english(rng: random.Random, domain: str, label: int) -> str:
    """Generate a review in English."""
    phrases = ENGLISH_PHRASES[domain]
    things = rng.sample(sorted(phrases), rng.randint(1, 2))
    said = " and ".join(f"{thing} {rng.choice(phrases[thing][label])}" for thing in things)
    closing = rng.choice((("avoid it.", "a waste of money."), ("worth every cent!", "I would buy it again."))[label])
    return f"{said[0].upper()}{said[1:]}, {closing}"


def reviews(rng: random.Random, split: str, taken: set[str]) -> list[str]:
    """Generate the rows of a split; no text occurs in another split."""
    rows: list[str] = []
    while len(rows) < SIZES[split]:
        label, domain = rng.randrange(2), rng.choice(sorted(CHINESE))
        in_english = rng.random() < ENGLISH
        text = english(rng, domain, label) if in_english else chinese(rng, split, domain, label)
        if text not in taken:
            taken.add(text)
            rows.append(f"{LABELS[label]}\t{domain}\t{text}")
    return rows


def tables() -> dict[str, str]:
    """Generate the files by split."""
    rng = random.Random(SEED)
    taken: set[str] = set()
    return {split: "\n".join([HEADER, *reviews(rng, split, taken)]) + "\n" for split in SIZES}


if __name__ == "__main__":
    for split, table in tables().items():
        (Path(__file__).parent / f"{split}.tsv").write_text(table, encoding="utf-8", newline="")
