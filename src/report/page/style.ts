/** How the page looks: plain, dense, in the colours that the reader's system asks for. */
export const style = `:root{color-scheme:light dark;--bg:#faf9f6;--card:#fff;--text:#1d1c19;--dim:#5d594f;--line:#dedacf;--link:#17557d;--good:#1c6b40;--good-bg:#e4f2e8;--bad:#a1231c;--bad-bg:#fbe6e3;--warn:#7a4f00;--warn-bg:#fbefd5;--calm:#4c4a44;--calm-bg:#ecebe5;--bar:#3f9a66;--bar-bad:#c8362c;--bar-none:#b9b4a6}
@media (prefers-color-scheme:dark){:root{--bg:#131416;--card:#1a1c1f;--text:#e9e7e2;--dim:#a8a59c;--line:#303338;--link:#8cc5ec;--good:#86d6a4;--good-bg:#16301f;--bad:#ff9f95;--bad-bg:#3b1815;--warn:#ecc26f;--warn-bg:#33270e;--calm:#c3c0b8;--calm-bg:#26282c;--bar:#4caf79;--bar-bad:#f0695e;--bar-none:#4a4d54}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1320px;padding:0 24px 32px;background:var(--bg);color:var(--text);font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;font-variant-numeric:tabular-nums}
a{color:var(--link);text-underline-offset:2px}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
main:focus{outline:none}
code,.code{font:13px/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;background:var(--calm-bg);color:var(--text);border-radius:4px;padding:1px 5px;overflow-wrap:anywhere}
p{margin:4px 0}
.dim,.abs{color:var(--dim)}
.wrap{overflow-wrap:anywhere}
.skip{position:absolute;left:-9999px}
.skip:focus{left:8px;top:8px;background:var(--card);padding:8px}
header{display:flex;flex-wrap:wrap;justify-content:space-between;gap:4px 24px;padding:14px 0;border-bottom:1px solid var(--line)}
header p{margin:0}
header a{font-weight:650;color:inherit;text-decoration:none}
h1{font-size:30px;line-height:1.15;letter-spacing:-.015em;margin:0;overflow-wrap:anywhere}
h2{font-size:18px;margin:32px 0 10px}
h3{font-size:15px;margin:18px 0 6px}
.answer{margin:22px 0 18px;padding:4px 0 4px 18px;border-left:5px solid var(--calm)}
.answer.good{border-color:var(--bar)}
.answer.bad{border-color:var(--bar-bad)}
.answer.warn{border-color:var(--warn)}
.answer ul{margin:10px 0 6px;padding:0;list-style:none}
.answer li{margin:3px 0;overflow-wrap:anywhere}
.next{margin-top:10px}.next code{display:inline-block}
.alert{background:var(--bad-bg);border-radius:6px;padding:8px 14px;margin:10px 0;overflow-wrap:anywhere}
.hint{color:var(--dim);overflow-wrap:anywhere}
.alert .hint{color:var(--text)}
.figures{display:flex;flex-wrap:wrap;gap:1px;background:var(--line);border:1px solid var(--line);border-radius:8px;overflow:hidden;margin:0}
.figures div{flex:1 1 170px;background:var(--card);padding:10px 14px}
.figures dt,.facts dt{color:var(--dim);font-size:13px}
.figures dd{margin:0;font-size:20px;font-weight:600;line-height:1.3}
.figures dd .dim{display:block;font-size:13px;font-weight:400;min-height:1.3em;overflow-wrap:anywhere}
.filter{display:flex;flex-wrap:wrap;align-items:center;gap:8px;margin:0 0 8px}
.filter input{flex:0 1 320px;min-width:0;font:inherit;color:inherit;background:var(--card);border:1px solid var(--dim);border-radius:6px;padding:6px 10px}
.filter input::placeholder{color:var(--dim);opacity:1}
button{font:inherit;color:inherit;background:var(--calm-bg);border:1px solid var(--dim);border-radius:6px;padding:6px 14px;cursor:pointer}
table{border-collapse:collapse;width:100%}
caption{text-align:left;color:var(--dim);font-size:13px;padding:2px 0 6px}
th,td{text-align:left;vertical-align:top;font-weight:400;padding:9px 14px 9px 0;border-bottom:1px solid var(--line)}
thead th{color:var(--dim);font-size:13px;padding-top:4px;padding-bottom:6px;white-space:nowrap}
thead a{color:inherit;text-decoration:none;border-bottom:1px dotted var(--dim)}
thead [aria-sort] a{color:var(--text);font-weight:600;border-bottom-style:solid}
tbody th a{font-weight:600;overflow-wrap:anywhere}
tbody th .dim{display:block;font-size:13px}
.fleet td:nth-child(2),.fleet td:nth-child(4),.fleet td:nth-child(5){white-space:nowrap}
.fleet .abs{display:block;font-size:13px}
.fleet time{white-space:nowrap}
.fleet td:last-child,.fleet thead th:last-child{padding-right:0}
.label{display:none}
.state{display:inline-block;border-radius:999px;padding:1px 10px;font-size:13px;font-weight:600;white-space:nowrap;background:var(--calm-bg);color:var(--calm)}
.state.good{background:var(--good-bg);color:var(--good)}
.state.bad{background:var(--bad-bg);color:var(--bad)}
.state.warn{background:var(--warn-bg);color:var(--warn)}
.tone-bad{color:var(--bad);font-weight:600}
.tone-warn{color:var(--warn)}
.busy{font-size:13px;color:var(--dim)}
.days{display:block;max-width:100%}
.d-good{fill:var(--bar)}
.d-bad{fill:var(--bar-bad)}
.d-none{fill:var(--bar-none)}
.notes details ul{padding-left:20px;margin:4px 0}
.notes,.cards{list-style:none;margin:0;padding:0}
.notes>li{padding:8px 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(300px,100%),1fr));gap:12px}
.cards li{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 14px;overflow-wrap:anywhere}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(260px,100%),1fr));gap:14px 24px;margin:14px 0}
.facts dd{margin:0}
.plain{width:auto}
summary{cursor:pointer;margin:6px 0}
footer{margin-top:36px;padding-top:12px;border-top:1px solid var(--line);font-size:13px}
@media (max-width:900px){
.fleet,.fleet tbody,.fleet tr,.fleet th,.fleet td{display:block}
.fleet thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.fleet caption{display:block}
.fleet tr{display:grid;grid-template-columns:repeat(6,minmax(0,1fr));gap:8px 14px;padding:12px 0;border-bottom:1px solid var(--line)}
.fleet tbody th,.fleet td{padding:0;border:0;min-width:0}
.fleet tbody th{grid-column:span 3}
.fleet td{grid-column:span 2}
.fleet td:nth-child(2){grid-column:span 3;text-align:right}
.fleet td:nth-child(6),.fleet td:nth-child(7){grid-column:span 3}
.fleet td:last-child{grid-column:1/-1}
.label{display:block;color:var(--dim);font-size:12px}
}
@media (max-width:520px){body{padding:0 16px 24px}h1{font-size:25px}.fleet td:nth-child(3){grid-column:span 6}.fleet td:nth-child(4),.fleet td:nth-child(5){grid-column:span 3}.fleet .abs{display:inline}.fleet td:last-child .label{display:none}.filter input{flex:1}.figures div{flex:1 1 170px;flex-basis:140px}.figures dd{font-size:17px}}
@media (prefers-reduced-motion:no-preference){html{scroll-behavior:smooth}}`;
